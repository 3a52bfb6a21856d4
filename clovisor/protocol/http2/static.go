package http2

import "strings"

// static is the static table (RFC 7541, appendix A).
var static = func() (table []entry) {
	for f := range strings.SplitSeq(staticFields, "\n") {
		// A name may begin with a colon, which is no separator then.
		name, value := f, ""
		if i := strings.IndexByte(f[1:], '='); i >= 0 {
			name, value = f[:i+1], f[i+2:]
		}
		table = append(table, entry{[]byte(name + value), len(name)})
	}
	return table
}()

const staticFields = `:authority
:method=GET
:method=POST
:path=/
:path=/index.html
:scheme=http
:scheme=https
:status=200
:status=204
:status=206
:status=304
:status=400
:status=404
:status=500
accept-charset
accept-encoding=gzip, deflate
accept-language
accept-ranges
accept
access-control-allow-origin
age
allow
authorization
cache-control
content-disposition
content-encoding
content-language
content-length
content-location
content-range
content-type
cookie
date
etag
expect
expires
from
host
if-match
if-modified-since
if-none-match
if-range
if-unmodified-since
last-modified
link
location
max-forwards
proxy-authenticate
proxy-authorization
range
referer
refresh
retry-after
server
set-cookie
strict-transport-security
transfer-encoding
user-agent
vary
via
www-authenticate`
