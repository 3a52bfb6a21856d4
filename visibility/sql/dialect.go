package sql

import (
	"fmt"
	"math"
	"regexp/syntax"
	"strconv"
	"strings"
)

// Dialect is a kind of SQL.
type Dialect uint8

// The dialects.
const (
	DuckDB Dialect = iota // 1.x
	Spark                 // 3.5, with its default settings
)

// String returns "duckdb" or "spark".
func (d Dialect) String() string {
	if d == Spark {
		return "spark"
	}
	return "duckdb"
}

// Text returns a string literal that means s, whatever is in it. Bytes that
// are not UTF-8 become U+FFFD, as they are in the rows.
func (d Dialect) Text(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if d == Spark {
		return sparkText(s)
	}
	return duckDBText(s)
}

// duckDBText writes control characters by their number: a literal cannot hold
// NUL, and DuckDB's shell reads "\r\n" as "\n" wherever it stands.
func duckDBText(s string) string {
	var b strings.Builder
	b.WriteByte('\'')
	joined := false
	for _, r := range s {
		switch {
		case r == '\'':
			b.WriteString("''")
		case r < ' ' || r == 0x7f:
			joined = true
			fmt.Fprintf(&b, "' || chr(%d) || '", r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('\'')
	if joined {
		return "(" + b.String() + ")"
	}
	return b.String()
}

// sparkText escapes by backslash whatever could end a literal, a line or a
// statement: clients of Spark split scripts at semicolons, also in literals.
func sparkText(s string) string {
	var b strings.Builder
	b.WriteByte('\'')
	for _, r := range s {
		switch {
		case r == '\'' || r == '\\' || r == '"' || r == ';' || r == '`' || r == '$' || r < ' ' || r == 0x7f || r == 0x2028 || r == 0x2029:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('\'')
	return b.String()
}

// Parquet returns a table of what package visibility/parquet wrote into a
// folder, which may be an address that the engine understands, such as
// s3://BUCKET/PREFIX.
func (d Dialect) Parquet(dir string) string {
	dir = strings.TrimRight(dir, "/")
	if d == Spark {
		return "parquet.`" + strings.ReplaceAll(dir, "`", "``") + "`"
	}
	return "read_parquet(" + d.Text(dir+"/*/*.parquet") + ", hive_partitioning = true)"
}

// textType is the type of texts.
func (d Dialect) textType() string {
	if d == Spark {
		return "STRING"
	}
	return "VARCHAR"
}

// matches says that a text matches a regular expression of Go somewhere.
func (d Dialect) matches(expr, pattern string) (string, error) {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return "", err
	}
	if d == Spark {
		return fmt.Sprintf("(%s RLIKE %s)", expr, d.Text(javaRegexp(re))), nil
	}
	// DuckDB has RE2 itself. What the parser prints says all flags.
	return fmt.Sprintf("regexp_matches(%s, %s)", expr, d.Text(re.String())), nil
}

// startsWith says that a text begins with another.
func (d Dialect) startsWith(expr, prefix string) string {
	name := "starts_with"
	if d == Spark {
		name = "startswith"
	}
	return fmt.Sprintf("%s(%s, %s)", name, expr, d.Text(prefix))
}

// double returns a literal of a finite number.
func double(f float64) string {
	return "CAST('" + strconv.FormatFloat(f, 'g', -1, 64) + "' AS DOUBLE)"
}

// truth returns a constant condition.
func truth(b bool) string {
	if b {
		return "TRUE"
	}
	return "FALSE"
}

// compareNumber compares a numeric expression with a number, which may be
// infinite.
func compareNumber(expr, op string, n float64) string {
	if math.IsInf(n, 0) {
		return truth((n > 0) == strings.HasPrefix(op, "<"))
	}
	return fmt.Sprintf("(%s %s %s)", expr, op, double(n))
}
