// Package jtl reads and writes the result files of JMeter, one sample at a
// time: CSV, of which the columns are named in the first line or are those of
// JMeter before version 4, and XML.
package jtl
