package jmeter

import "time"

// Plan is a load test. A value is not changed by anything that takes it, so
// that any number of goroutines may share one.
type Plan struct {
	Name string
	// Functions lets JMeter's functions, such as ${__time()}, in texts work.
	// false: they are data.
	Functions bool
	// Uncorrelated leaves out the headers traceparent and x-clover-run-id,
	// which every request has otherwise.
	Uncorrelated bool
	// Variables are what ${name} is at the start, in this order.
	Variables []Pair
	// HTTP2 speaks HTTP/2, on "http" too. Otherwise it is HTTP/1.1.
	HTTP2 bool
	// TLS is how servers are checked.
	TLS TLS
	// Groups run at the same time.
	Groups []*Group
	// Criteria decide whether a run has passed, e.g. "p95(url1) < 200ms".
	Criteria []string

	// Others are elements of a JMX file beside the groups.
	Others []*Opaque

	source *node     // what the plan was read from, nil: not from JMX
	root   []xmlAttr // of its file
	beside []*node   // elements beside the test plan, as old files have
}

// Pair is a name with a value.
type Pair struct{ Name, Value string }

// TLS says how an HTTPS server is checked and who we are to it. JMeter checks
// no server; it does what the zero value says.
type TLS struct {
	// Verify checks the server's certificate, by CAFile or the system's roots.
	Verify bool
	CAFile string
	// CertFile and KeyFile are the client's certificate in PEM.
	CertFile, KeyFile string
}

// Group is a number of users that do the same.
type Group struct {
	Name string
	Load Load
	// Data gives variables their values, a row of a file for each iteration.
	Data []DataSet
	// CookieJar keeps the cookies that servers set, for each user.
	CookieJar bool
	Steps     []Step

	source *node
}

// Load is how many users a group has and how long they go on.
type Load struct {
	// Threads is the number of users; 0 with Rate.
	Threads int
	// Loops is how often each user goes through the steps; 0: until Duration.
	Loops int
	// RampUp is the time in which the users start, or in which the rate grows
	// from 0 to Rate.
	RampUp time.Duration
	// Hold is how long the load stays after RampUp. It is another way to give
	// Duration.
	Hold time.Duration
	// Duration ends the group; 0: no limit.
	Duration time.Duration
	// Rate starts this number of iterations a second, each by a user of its
	// own, however long the others take. 0: users go on when they are ready.
	Rate float64
	// MaxThreads is the largest number of users that Rate may need at a time.
	// What would need more is counted as missed. 0: DefaultMaxThreads.
	MaxThreads int
	// Think is the pause before each request.
	Think Pause
}

// DefaultMaxThreads is Load.MaxThreads if that is 0.
const DefaultMaxThreads = 1000

// Limit returns when the group ends at the latest, after its start; 0: never.
func (l Load) Limit() time.Duration {
	if l.Hold > 0 {
		return l.RampUp + l.Hold
	}
	return l.Duration
}

// Pause is a time to wait: Time, or evenly distributed from Time to
// Time+Range, or normally distributed with that Deviation.
type Pause struct{ Time, Range, Deviation time.Duration }

// DataSet is a CSV file whose rows are values of variables.
type DataSet struct {
	File string
	// Variables names the columns; empty: the first line does.
	Variables []string
	// Delimiter is one character or "\t"; "": ",".
	Delimiter string
	// SkipHeader leaves out the first line if Variables is given.
	SkipHeader bool
	// PerThread lets each user read the file by itself. Otherwise
	// those of the group share it.
	PerThread bool
	// Once ends a user at the end of the file. Otherwise it begins again.
	Once bool
}

// Step is what a user does: a [*Request], a [*Controller] or an [*Opaque].
type Step interface {
	// label names the step in results and messages.
	label() string
	// from returns what the step was read from, or nil.
	from() *node
}

// Request is one HTTP request.
type Request struct {
	Name string // in results; texts of a request may hold variables
	// Method is GET if empty.
	Method string
	// URL is absolute.
	URL URL
	// Query is added to that of the URL, encoded.
	Query []Pair
	// Headers are sent in this order.
	Headers []Pair
	Cookies []Pair
	Basic   *Credentials
	Bearer  string
	Body    Body
	// ConnectTimeout and Timeout bound the connection's and the response's
	// time; 0: DefaultConnectTimeout and DefaultTimeout.
	ConnectTimeout, Timeout time.Duration
	// NoRedirects takes a redirect for the answer.
	NoRedirects bool
	// NoKeepAlive closes the connection after the request.
	NoKeepAlive bool
	// Pause comes before the request, after the group's.
	Pause      Pause
	Extract    []Extractor
	Assertions []Assertion

	extra   []*node  // what JMX has below the request and this model has not
	unknown []string // properties that this model has not
	source  *node
}

// Limits of the time of a request where a plan does not say.
const (
	DefaultConnectTimeout = 10 * time.Second
	DefaultTimeout        = 60 * time.Second
)

// Credentials are those of HTTP's basic authentication.
type Credentials struct{ User, Password string }

// BodyKind tells the forms of a body apart.
type BodyKind int

// The forms of a body.
const (
	NoBody    BodyKind = iota
	RawBody            // Text as it is
	FileBody           // the content of File
	FormBody           // Fields, application/x-www-form-urlencoded
	MultiBody          // Fields and Files, multipart/form-data
)

// Body is what a request sends.
type Body struct {
	Kind   BodyKind
	Text   string
	File   string
	Fields []Pair
	Files  []FilePart
}

// FilePart is a file in a multipart body.
type FilePart struct {
	Field, File string
	Type        string // media type; "": application/octet-stream
}

// ExtractorKind tells the ways of extraction apart.
type ExtractorKind int

// The ways of extraction.
const (
	ByJSONPath ExtractorKind = iota
	ByRegexp                 // first group of a regular expression in the body
	ByHeader                 // the value of a response's header
	ByBoundary               // what is between two texts of the body
)

// Extractor sets a variable from a response.
type Extractor struct {
	Kind     ExtractorKind
	Variable string
	// Expression is a JSON path, a regular expression with one group, a
	// header's name, or the text on the left.
	Expression string
	Right      string // the text on the right
	Default    string // value if nothing is found
}

// AssertionKind tells the assertions apart.
type AssertionKind int

// The assertions.
const (
	StatusIs        AssertionKind = iota // one of Values
	BodyContains                         // the text Values[0]
	BodyMatches                          // the regular expression Values[0], anywhere
	JSONPathIs                           // path Values[0] has the value Values[1]; without it: exists
	DurationAtMost                       // Duration
	SizeAtMost                           // Bytes of the body
	SizeAtLeast                          // Bytes of the body
	BodyContainsNot                      // the text Values[0]
)

// Assertion is a condition without which a request has failed.
type Assertion struct {
	Kind     AssertionKind
	Values   []string
	Duration time.Duration
	Bytes    int64
}

// ControllerKind tells the controllers apart.
type ControllerKind int

// The controllers.
const (
	IfController         ControllerKind = iota // if Condition holds
	LoopController                             // Count times
	OnceController                             // in a user's first iteration
	TransactionMeasure                         // with a result for all steps together
	ThroughputController                       // Percent of the iterations, or Count in all
)

// Controller decides whether and how often its steps are done.
type Controller struct {
	Kind      ControllerKind
	Name      string
	Condition Condition
	Count     int
	Percent   float64
	// PerUser counts each user's iterations for itself.
	PerUser bool
	Steps   []Step

	source *node
}

// Operator compares a variable.
type Operator string

// The operators.
const (
	Equals    Operator = "equals"
	NotEquals Operator = "not_equals"
	Matches   Operator = "matches" // a regular expression, as a whole
	IsSet     Operator = "set"
)

// Condition is about the value of a variable; one that has none is "".
type Condition struct {
	Variable string
	Operator Operator
	Value    string
}

// Opaque is an element of a JMX file that the model does not have. It is kept
// and written as it was. Only JMeter can run it.
type Opaque struct {
	Class string // e.g. "JDBCSampler"
	Name  string
	// Disabled elements are not run.
	Disabled bool

	source *node
}

func (r *Request) label() string    { return r.Name }
func (r *Request) from() *node      { return r.source }
func (c *Controller) label() string { return c.Name }
func (c *Controller) from() *node {
	return c.source
}
func (o *Opaque) label() string { return o.Class + " " + o.Name }
func (o *Opaque) from() *node   { return o.source }

// Unknown returns the properties of a request from JMX that the model has not.
func (r *Request) Unknown() []string {
	names := append([]string{}, r.unknown...)
	for _, n := range r.extra {
		if n.el.attr("enabled") != "false" {
			names = append(names, n.el.name)
		}
	}
	return names
}
