package show

import (
	"fmt"
	"strconv"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Share is a part of a whole, 0 to 1.
type Share float64

// Rate is a number a second.
type Rate float64

// human prints a cell for people.
func human(cell any) string {
	switch v := cell.(type) {
	case *durationpb.Duration:
		if v == nil {
			return "-"
		}
		return Duration(v)
	case *timestamppb.Timestamp:
		return Time(v)
	case Share:
		return Percent(float64(v))
	case float64:
		return number(v)
	case Rate:
		return fmt.Sprintf("%.2f/s", float64(v))
	}
	return Clean(fmt.Sprint(cell))
}

// machine prints a cell for programs: durations in seconds, times as RFC 3339
// in the local zone, nothing rounded; what is unset is empty.
func machine(cell any) string {
	switch v := cell.(type) {
	case *durationpb.Duration:
		if v == nil {
			return ""
		}
		return number(v.AsDuration().Seconds())
	case *timestamppb.Timestamp:
		if v == nil {
			return ""
		}
		return v.AsTime().Local().Format(time.RFC3339Nano)
	case Share:
		return number(float64(v))
	case float64:
		return number(v)
	case Rate:
		return number(float64(v))
	}
	return fmt.Sprint(cell)
}

func number(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// Duration prints with three significant digits.
func Duration(d *durationpb.Duration) string {
	v := d.AsDuration()
	switch {
	case v >= time.Minute:
		return v.Round(time.Second).String()
	case v >= time.Second:
		return digits(v.Seconds(), "s")
	case v >= time.Millisecond:
		return digits(float64(v)/1e6, "ms")
	case v >= time.Microsecond:
		return digits(float64(v)/1e3, "µs")
	}
	return v.String()
}

// digits prints three significant digits; four where the fourth is before the
// point, so that there is never an exponent.
func digits(f float64, unit string) string {
	if f >= 999.5 {
		return fmt.Sprintf("%.0f%s", f, unit)
	}
	return fmt.Sprintf("%.3g%s", f, unit)
}

// Time prints in the local zone; "-" if unset.
func Time(t *timestamppb.Timestamp) string {
	if t == nil {
		return "-"
	}
	return t.AsTime().Local().Format("2006-01-02 15:04:05.000")
}

// Percent prints a share.
func Percent(f float64) string { return fmt.Sprintf("%.1f%%", 100*f) }
