package alert

import (
	"bufio"
	"bytes"
	"net/textproto"
	"strings"
)

// maxHeaderLines bounds what is read of a header.
const maxHeaderLines = 200

// Header is the header of the request that raised the alert, by the names in
// canonical form, as far as the payload holds it; nil if it is not there. Of
// several requests in the payload it is the last with the alert's URL. What
// it says is the client's word.
func (a *Alert) Header() textproto.MIMEHeader {
	if a.HTTP == nil || a.HTTP.Method == "" || a.HTTP.URL == "" {
		return nil
	}
	begin := bytes.LastIndex(a.Payload, []byte(a.HTTP.Method+" "+a.HTTP.URL+" HTTP/"))
	if begin < 0 {
		return nil
	}
	header := textproto.MIMEHeader{}
	lines := bufio.NewReader(bytes.NewReader(a.Payload[begin:]))
	for n := range maxHeaderLines {
		line, err := lines.ReadString('\n')
		if err != nil {
			break // cut off
		}
		line = strings.TrimRight(line, "\r\n")
		if line == "" {
			break
		}
		if name, value, ok := strings.Cut(line, ":"); ok && n > 0 {
			header.Add(textproto.TrimString(name), textproto.TrimString(value))
		}
	}
	return header
}
