package dns

import (
	"strconv"

	"golang.org/x/net/dns/dnsmessage"
)

// rcodes are the names of response codes as people know them (RFC 6895).
var rcodes = [...]string{"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET", "NXRRSET", "NOTAUTH", "NOTZONE"}

func rcode(c dnsmessage.RCode) string {
	if int(c) < len(rcodes) {
		return rcodes[c]
	}
	return strconv.Itoa(int(c))
}

// counts are the numbers of answers that need no allocation.
var counts = [...]string{"0", "1", "2", "3", "4", "5", "6", "7", "8"}

func count(n int) string {
	if n < len(counts) {
		return counts[n]
	}
	return strconv.Itoa(n)
}
