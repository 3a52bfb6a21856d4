package ids

import "strings"

// Payload is the buffer of patterns that name none: the bytes of the packet
// or stream.
const Payload = "payload"

// buffer is one place to look in, with its name in each dialect. Empty: the
// dialect has none.
type buffer struct {
	name     string // in Match, and the sticky buffer of Suricata
	suricata string // the older modifier or other name of Suricata
	snort2   string // modifier, or sticky buffer
	snort3   string // sticky buffer
	field    string // of http_header in Snort 3
	flag     byte   // of pcre in Suricata and Snort 2
}

var buffers = []buffer{
	{Payload, "pkt_data", "pkt_data", "pkt_data", "", 0},
	{"file.data", "file_data", "file_data", "file_data", "", 0},
	{"base64_data", "", "base64_data", "base64_data", "", 0},
	{"dcerpc.stub_data", "dce_stub_data", "dce_stub_data", "dce_stub_data", "", 0},
	{"dnp3.data", "dnp3_data", "dnp3_data", "dnp3_data", "", 0},
	{"modbus_data", "", "modbus_data", "modbus_data", "", 0},
	{"sip_header", "", "sip_header", "sip_header", "", 0},
	{"sip_body", "", "sip_body", "sip_body", "", 0},
	{"http.uri", "http_uri", "http_uri", "http_uri", "", 'U'},
	{"http.uri.raw", "http_raw_uri", "http_raw_uri", "http_raw_uri", "", 'I'},
	{"http.method", "http_method", "http_method", "http_method", "", 'M'},
	{"http.header", "http_header", "http_header", "http_header", "", 'H'},
	{"http.header.raw", "http_raw_header", "http_raw_header", "http_raw_header", "", 'D'},
	{"http.cookie", "http_cookie", "http_cookie", "http_cookie", "", 'C'},
	{"http.cookie.raw", "", "http_raw_cookie", "http_raw_cookie", "", 'K'},
	{"http.request_body", "http_client_body", "http_client_body", "http_client_body", "", 'P'},
	{"http.response_body", "http_server_body", "", "http_raw_body", "", 'Q'},
	{"http.stat_code", "http_stat_code", "http_stat_code", "http_stat_code", "", 'S'},
	{"http.stat_msg", "http_stat_msg", "http_stat_msg", "http_stat_msg", "", 'Y'},
	{"http.user_agent", "http_user_agent", "", "http_header", "user-agent", 'V'},
	{"http.host", "http_host", "", "http_header", "host", 'W'},
	{"http.host.raw", "http_raw_host", "", "http_raw_header", "host", 'Z'},
	{"http.referer", "http_referer", "", "http_header", "referer", 0},
	{"http.accept", "http_accept", "", "http_header", "accept", 0},
	{"http.accept_enc", "http_accept_enc", "", "http_header", "accept-encoding", 0},
	{"http.accept_lang", "http_accept_lang", "", "http_header", "accept-language", 0},
	{"http.connection", "http_connection", "", "http_header", "connection", 0},
	{"http.content_type", "http_content_type", "", "http_header", "content-type", 0},
	{"http.content_len", "http_content_len", "", "http_header", "content-length", 0},
	{"http.location", "", "", "http_header", "location", 0},
	{"http.server", "", "", "http_header", "server", 0},
	{"http.protocol", "http_protocol", "", "http_version", "", 0},
	{"http.request_line", "http_request_line", "", "http_raw_request", "", 0},
	{"http.response_line", "http_response_line", "", "http_raw_status", "", 0},
}

// bufferOf returns the buffer that an option of a dialect names. One that no
// other dialect has goes by its own name.
func bufferOf(o Option, d Dialect) string {
	name := strings.ToLower(o.Name)
	if d == Snort3 {
		field := ""
		if _, f, ok := strings.Cut(o.Value, "field "); ok {
			field = strings.ToLower(strings.Trim(strings.TrimSpace(strings.SplitN(f, ",", 2)[0]), `"`))
		}
		for _, b := range buffers {
			if b.snort3 == name && b.field == field {
				return b.name
			}
		}
		if o.Value != "" {
			return name + ":" + o.Value
		}
		return name
	}
	for _, b := range buffers {
		if d == Suricata && (b.name == name || b.suricata == name) || d == Snort2 && b.snort2 == name {
			return b.name
		}
	}
	return name
}

// bufferByFlag returns the buffer that a flag of pcre names.
func bufferByFlag(flag byte) string {
	for _, b := range buffers {
		if b.flag == flag && flag != 0 {
			return b.name
		}
	}
	return ""
}

// bufferByName returns the entry of a buffer; one of its own if only the
// dialect that named it has it.
func bufferByName(name string) (buffer, bool) {
	for _, b := range buffers {
		if b.name == name {
			return b, true
		}
	}
	return buffer{}, false
}
