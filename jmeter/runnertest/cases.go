package runnertest

// testCase is a group of a plan, with the requests that it has to make.
type testCase struct {
	name string
	// group is YAML: the keys of a group. ADDR stands for the server, FILES for
	// a folder with the files below.
	group string
	// headers are shown in want.
	headers []string
	// want are the requests in their order: METHOD URI, headers and body.
	want []string
	// errors are the failed samples by label; of other labels none may fail.
	errors map[string]int64
	// samples are the counts by label, where there are others than requests.
	samples map[string]int64
}

var files = map[string]string{
	"users.csv":  "name,city\nann,\"Bern, CH\"\nbob,Köln\n",
	"plain.csv":  "1;x\n2;y\n3;z\n",
	"body.bin":   "from a file\n",
	"upload.txt": "uploaded",
}

var cases = []testCase{
	{name: "methods", group: `
url_list:
- {url: "ADDR/methods/a"}
- {url: "ADDR/methods/b", method: HEAD}
- {url: "ADDR/methods/c", method: POST, body: "x=1 & y"}
- {url: "ADDR/methods/d", method: PUT, body: put}
- {url: "ADDR/methods/e", method: PATCH, body: patch}
- {url: "ADDR/methods/f", method: DELETE}
- {url: "ADDR/methods/g", method: OPTIONS}
`, want: []string{"GET /methods/a", "HEAD /methods/b", "POST /methods/c x=1 & y", "PUT /methods/d put",
		"PATCH /methods/e patch", "DELETE /methods/f", "OPTIONS /methods/g"}},
	{name: "query", group: `
url_list:
- {url: "ADDR/query/a b/ü?x=1&y=a b", query: {z: "ä&=?/ +", "q q": "${v}", e: ""}}
- {url: "ADDR/query/${v}?p=%20"}
`, want: []string{"GET /query/a%20b/%C3%BC?x=1&y=a%20b&z=%C3%A4%26%3D%3F%2F+%2B&q+q=v1+%26&e=", "GET /query/v1%20&?p=%20"}},
	{name: "markup", headers: []string{"X-Data", "X-Slash"}, group: `
url_list:
- name: "<b>&\"${__groovy(1)}"
  url: "ADDR/markup/${__javaScript(1)}/<script>"
  method: POST
  headers: {X-Data: "<&> ${__groovy(1+1)} ${v} $${v} \\, \\$ ${", X-Slash: "a\\,b\\\\c"}
  body: |
    ${__groovy(java.lang.System.exit(1))} ]]> &amp; \${v} ${v}
    a\b, ${} $ {
`, want: []string{"POST /markup/$%7B__javaScript(1)%7D/%3Cscript%3E X-Data=<&> ${__groovy(1+1)} v1 & $v1 & \\, \\$ ${ X-Slash=a\\,b\\\\c ${__groovy(java.lang.System.exit(1))} ]]> &amp; \\v1 & v1 &\na\\b, ${} $ {\n"}},
	{name: "headers", headers: []string{"User-Agent", "Accept", "X-Empty", "Cookie"}, group: `
url_list:
- {url: "ADDR/headers/a", user-agent: chrome, headers: {Accept: "text/html, */*;q=0.1"}, cookies: {a: "1", b: "${v2}"}}
- {url: "ADDR/headers/b", user_agent: safari, headers: {X-Empty: ""}}
`, want: []string{"GET /headers/a User-Agent=chrome Accept=text/html, */*;q=0.1 Cookie=a=1; b=two", "GET /headers/b User-Agent=safari"}},
	{name: "auth", headers: []string{"Authorization"}, group: `
url_list:
- {url: "ADDR/auth/a", basic_auth: {user: ann, password: "p:w"}}
- {url: "ADDR/auth/b", bearer: "${v2}.x"}
- {url: "ADDR/auth/c"}
`, want: []string{"GET /auth/a Authorization=Basic YW5uOnA6dw==", "GET /auth/b Authorization=Bearer two.x", "GET /auth/c"}},
	{name: "bodies", headers: []string{"Content-Type"}, group: `
url_list:
- {url: "ADDR/bodies/json", json: {a: [1, 2.5, true, null, "x"], b: {c: "${v2}"}}}
- {url: "ADDR/bodies/form", form: {a: "1 &", b: "${v}", "ü": "="}}
- {url: "ADDR/bodies/file", body_file: FILES/body.bin, headers: {Content-Type: text/x-own}}
`, want: []string{`POST /bodies/json Content-Type=application/json {"a":[1,2.5,true,null,"x"],"b":{"c":"two"}}`,
		"POST /bodies/form Content-Type=application/x-www-form-urlencoded a=1+%26&b=v1+%26&%C3%BC=%3D",
		"POST /bodies/file Content-Type=text/x-own from a file\n"}},
	{name: "multipart", group: `
url_list:
- {url: "ADDR/multipart/a", multipart: {fields: {note: "${v2} ü"}, files: [{field: doc, file: FILES/upload.txt, type: text/plain}]}}
`, want: []string{`POST /multipart/a note=two ü; doc=upload.txt text/plain uploaded`}},
	{name: "redirects", group: `
url_list:
- {name: followed, url: "ADDR/redirects/redirect"}
- {name: kept, url: "ADDR/redirects/redirect", follow_redirects: false}
- {name: posted, url: "ADDR/redirects/see-other", method: POST, body: x}
`, want: []string{"GET /redirects/redirect", "GET /redirects/target", "GET /redirects/redirect",
		"POST /redirects/see-other x", "GET /redirects/target"}},
	{name: "jar", headers: []string{"Cookie"}, group: `
cookie_jar: true
load_spec: {num_threads: 1, loops: 2}
url_list:
- {url: "ADDR/jar/cookie"}
- {url: "ADDR/jar/after"}
`, want: []string{"GET /jar/cookie", "GET /jar/after Cookie=sid=abc", "GET /jar/cookie Cookie=sid=abc", "GET /jar/after Cookie=sid=abc"}},
	{name: "data", group: `
load_spec: {num_threads: 1, loops: 3}
data: [{file: FILES/users.csv}, {file: FILES/plain.csv, variables: [n, letter], delimiter: ";"}]
url_list:
- {url: "ADDR/data/a", query: {name: "${name}", city: "${city}", n: "${n}${letter}"}}
`, want: []string{"GET /data/a?name=ann&city=Bern%2C+CH&n=1x", "GET /data/a?name=bob&city=K%C3%B6ln&n=2y", "GET /data/a?name=ann&city=Bern%2C+CH&n=3z"}},
	{name: "dataonce", group: `
load_spec: {num_threads: 1, loops: 10}
data: [{file: FILES/plain.csv, variables: [n, letter], delimiter: ";", recycle: false}]
url_list:
- {url: "ADDR/dataonce/${n}"}
`, want: []string{"GET /dataonce/1", "GET /dataonce/2", "GET /dataonce/3"}},
	{name: "extract", group: `
url_list:
- url: "ADDR/extract/json"
  extract:
  - {variable: id, json: "$.items[1].id"}
  - {variable: nm, json: "$.items[0].name"}
  - {variable: num, json: $.n}
  - {variable: gone, json: $.gone, default: none}
  - {variable: tok, regexp: '"token":"([^"]*)"'}
- url: "ADDR/extract/header"
  extract: [{variable: head, header: X-Token}]
- url: "ADDR/extract/x"
  extract: [{variable: mid, boundary: {left: "[left]", right: " "}}, {variable: fn, boundary: {left: "mid ", right: "[right]"}}]
- {url: "ADDR/extract/y", query: {id: "${id}", nm: "${nm}", num: "${num}", gone: "${gone}", tok: "${tok}", head: "${head}", mid: "${mid}", fn: "${fn}", unset: "${unset}"}}
`, want: []string{"GET /extract/json", "GET /extract/header", "GET /extract/x",
		"GET /extract/y?id=43&nm=a+b%26c&num=1.5&gone=none&tok=t-1&head=h-7&mid=mid&fn=%24%7B__time%28%29%7D&unset=%24%7Bunset%7D"}},
	{name: "assert", group: `
url_list:
- {name: ok, url: "ADDR/assert/json", assert: [{status: 200, body_contains: '"token"', body_matches: 'id":4[0-9]', json: {path: "$.items[0].id", equals: "42"}, max_duration: 10s, max_bytes: 1000, min_bytes: 5}]}
- {name: as-expected, url: "ADDR/assert/404", assert: [{status: [404, 410]}]}
- {name: error, url: "ADDR/assert/500"}
- {name: wrong-status, url: "ADDR/assert/a", assert: [{status: 201}]}
- {name: wrong-text, url: "ADDR/assert/a", assert: [{body_contains: absent}]}
- {name: wrong-not, url: "ADDR/assert/a", assert: [{body_not_contains: hello}]}
- {name: wrong-regexp, url: "ADDR/assert/a", assert: [{body_matches: "^x"}]}
- {name: wrong-json, url: "ADDR/assert/json", assert: [{json: {path: $.token, equals: other}}]}
- {name: no-json, url: "ADDR/assert/json", assert: [{json: {path: $.nothing}}]}
- {name: is-json, url: "ADDR/assert/json", assert: [{json: {path: $.token}}]}
- {name: slow, url: "ADDR/assert/slow", assert: [{max_duration: 50ms}]}
- {name: large, url: "ADDR/assert/a", assert: [{max_bytes: 3}]}
- {name: small, url: "ADDR/assert/a", assert: [{min_bytes: 3000}]}
- {name: timeout, url: "ADDR/assert/never", timeout: 2s}
`, want: []string{"GET /assert/json", "GET /assert/404", "GET /assert/500", "GET /assert/a", "GET /assert/a", "GET /assert/a", "GET /assert/a",
		"GET /assert/json", "GET /assert/json", "GET /assert/json", "GET /assert/slow", "GET /assert/a", "GET /assert/a", "GET /assert/never"},
		errors: map[string]int64{"error": 1, "wrong-status": 1, "wrong-text": 1, "wrong-not": 1, "wrong-regexp": 1, "wrong-json": 1,
			"no-json": 1, "slow": 1, "large": 1, "small": 1, "timeout": 1}},
	{name: "control", group: `
load_spec: {num_threads: 1, loops: 2}
url_list:
- {once: true, url_list: [{url: "ADDR/control/once"}]}
- {loop: 2, url_list: [{url: "ADDR/control/loop"}]}
- {if: {variable: v, equals: "v1 &"}, url_list: [{url: "ADDR/control/equals"}]}
- {if: {variable: v, equals: "v1 \") || (\""}, url_list: [{url: "ADDR/control/never"}]}
- {if: {variable: v, not_equals: "v1 &"}, url_list: [{url: "ADDR/control/never"}]}
- {if: {variable: v, matches: "v[0-9] ."}, url_list: [{url: "ADDR/control/matches"}]}
- {if: {variable: v, matches: "v[0-9]"}, url_list: [{url: "ADDR/control/never"}]}
- {if: {variable: v2, set: true}, url_list: [{url: "ADDR/control/set"}]}
- {if: {variable: nothing, set: true}, url_list: [{url: "ADDR/control/never"}]}
- {throughput: {percent: 50}, url_list: [{url: "ADDR/control/half"}]}
- {throughput: {count: 1}, url_list: [{url: "ADDR/control/count"}]}
- {transaction: both, url_list: [{url: "ADDR/control/t1"}, {url: "ADDR/control/t2"}]}
`, want: []string{"GET /control/once", "GET /control/loop", "GET /control/loop", "GET /control/equals", "GET /control/matches", "GET /control/set",
		"GET /control/count", "GET /control/t1", "GET /control/t2",
		"GET /control/loop", "GET /control/loop", "GET /control/equals", "GET /control/matches", "GET /control/set",
		"GET /control/half", "GET /control/t1", "GET /control/t2"}, samples: map[string]int64{"both": 2}},
	{name: "think", group: `
load_spec: {num_threads: 1, loops: 1, think_time: 60ms}
url_list:
- {url: "ADDR/think/a"}
- {url: "ADDR/think/b", think_time: {time: 40ms, range: 20ms}}
- {url: "ADDR/think/c", think_time: {time: 40ms, deviation: 5ms}}
`, want: []string{"GET /think/a", "GET /think/b", "GET /think/c"}},
	{name: "close", headers: []string{"Connection"}, group: `
url_list:
- {url: "ADDR/close/a", keep_alive: false}
- {url: "ADDR/close/b"}
`, want: []string{"GET /close/a Connection=close", "GET /close/b"}},
}
