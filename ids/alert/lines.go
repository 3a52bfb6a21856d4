package alert

import (
	"bytes"
	"fmt"
)

// lines reads a log of which each line is an alert or something else.
type lines struct {
	parse func(line []byte) (*Alert, error)
}

// EVE is the format of Suricata's EVE: JSON, an event a line. Events that are
// not alerts are passed over.
func EVE() Format { return &lines{ParseEVE} }

// SnortJSON is the format of Snort 3's alert_json.
func SnortJSON() Format { return &lines{ParseSnortJSON} }

// Next implements Format.
func (l *lines) Next(data []byte) (int, *Alert, error) {
	i := bytes.IndexByte(data, '\n')
	if i < 0 {
		return 0, nil, nil
	}
	line := bytes.TrimSpace(data[:i])
	if len(line) == 0 {
		return i + 1, nil, nil
	}
	a, err := l.parse(line)
	if err != nil {
		err = fmt.Errorf("%w: %.200q", err, line)
	}
	return i + 1, a, err
}

// Held implements Format.
func (l *lines) Held() int { return 0 }

// Flush implements Format.
func (l *lines) Flush() *Alert { return nil }
