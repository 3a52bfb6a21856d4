package server

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	_ "embed" // for the form
	"encoding/base64"
	"encoding/json"
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/opnfv/clover/api/server/auth"
)

// Paths at which browsers sign in and out.
const (
	loginPath  = "/login"
	logoutPath = "/logout"
)

// loginAccess is what signing in and out is in the audit log.
var loginAccess = access{Permission: auth.Permission{Verb: "create", Path: loginPath}}

//go:embed login.html
var loginSource string

var loginPage = template.Must(template.New("login").Parse(loginSource))

// loginPolicy lets the form be sent here, its own style and script be used,
// and nothing else.
var loginPolicy = "default-src 'none'; style-src " + elementHash(loginSource, "style") + "; script-src " + elementHash(loginSource, "script") +
	"; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// elementHash is the hash of a page's only element of that name, as policies
// have it (CSP Level 3, §2.3.1).
func elementHash(page, name string) string {
	_, rest, _ := strings.Cut(page, "<"+name+">")
	text, _, _ := strings.Cut(rest, "</"+name+">")
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// hasLogin reports whether there is a page that browsers sign in for.
func (s *Server) hasLogin() bool { return s.opts.Authenticator != nil && s.opts.Root != nil }

// isLogin reports whether a request is a browser's that signs in or out.
func (s *Server) isLogin(r *http.Request) bool {
	return s.hasLogin() && (r.URL.Path == loginPath || r.URL.Path == logoutPath)
}

// mayLogin reports whether a caller who is not known is a person who can be
// asked for a token.
func (s *Server) mayLogin(r *http.Request, err error) bool {
	return status.Code(err) == codes.Unauthenticated && s.isPage(r) &&
		len(r.Header.Values("Authorization")) == 0 && strings.Contains(r.Header.Get("Accept"), "text/html")
}

// handleLogin adds the pages to sign in and out by.
func (s *Server) handleLogin(mux *http.ServeMux) {
	mux.HandleFunc("GET "+loginPath, func(w http.ResponseWriter, r *http.Request) {
		writeLogin(w, http.StatusOK, loginForm{Next: ownPath(r.URL.Query().Get("next"))})
	})
	mux.HandleFunc("POST "+loginPath, s.login)
	mux.HandleFunc("POST "+logoutPath, s.logout)
}

// login begins a session for a token with which the page may be read.
func (s *Server) login(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	c, _ := r.Context().Value(callerContext{}).(caller)
	err := r.ParseForm()
	token := strings.TrimSpace(r.PostForm.Get("token"))
	if err == nil {
		err = s.identify(r.Context(), &c, []string{"Bearer " + token}, nil)
	} else {
		err = status.Error(codes.InvalidArgument, "the form cannot be read")
	}
	if err == nil {
		err = s.permit(r.Context(), c, readAccess)
	}
	s.audit(r.Context(), audited{caller: c, access: loginAccess, what: r.Method + " " + r.URL.Path, began: began}, err)
	if err != nil {
		st := status.Convert(err)
		for name, value := range refusalHeaders(err) {
			w.Header().Set(name, value)
		}
		form := loginForm{Complaint: st.Message(), Next: ownPath(r.PostForm.Get("next"))}
		writeLogin(w, runtime.HTTPStatusFromCode(st.Code()), form)
		return
	}
	s.setCookieOf(w, token)
	http.Redirect(w, r, cmp.Or(ownPath(r.PostForm.Get("next")), "/"), http.StatusSeeOther)
}

func (s *Server) setCookieOf(w http.ResponseWriter, token string) {
	id, ends := s.sessions.add(token)
	s.setCookie(w, id, ends)
}

// logout ends the session.
func (s *Server) logout(w http.ResponseWriter, r *http.Request) {
	if c, err := r.Cookie(s.cookieName()); err == nil {
		s.sessions.end(c.Value)
	}
	s.setCookie(w, "", time.Time{})
	http.Redirect(w, r, loginPath, http.StatusSeeOther)
}

// loginForm is what the form shows and carries.
type loginForm struct {
	Complaint string
	Next      string // path of the page to go to
}

// loginURL is where to sign in for a page.
func loginURL(page string) string {
	if ownPath(page) == "" || page == "/" {
		return loginPath
	}
	return loginPath + "?" + url.Values{"next": {page}}.Encode()
}

// ownPath returns the path and query of a page of this server as it is given,
// "" if it leads anywhere else.
func ownPath(page string) string {
	u, err := url.Parse(page)
	if err != nil || u.Scheme != "" || u.Host != "" || !strings.HasPrefix(page, "/") || strings.HasPrefix(page, "//") ||
		strings.ContainsAny(page, "\\\r\n\t") || strings.HasPrefix(u.Path, loginPath) || strings.HasPrefix(u.Path, logoutPath) {
		return ""
	}
	return page
}

func writeLogin(w http.ResponseWriter, code int, form loginForm) {
	var out bytes.Buffer
	if err := loginPage.Execute(&out, form); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", loginPolicy)
	w.WriteHeader(code)
	_, _ = w.Write(out.Bytes()) // the browser went away
}

// sessionPath is where a page asks who reads it.
const sessionPath = "/session"

// sessionInfo says who reads a page and what they may do.
type sessionInfo struct {
	User string `json:"user"`
	// SignedIn: the browser has signed in, and can sign out by a POST of a
	// form to /logout.
	SignedIn bool `json:"signed_in"`
	// MayUpdate and MayDelete: the rights to update and delete visibility.
	MayUpdate bool `json:"may_update"`
	MayDelete bool `json:"may_delete"`
}

func (s *Server) serveSession(w http.ResponseWriter, r *http.Request) {
	c, _ := r.Context().Value(callerContext{}).(caller)
	may := func(verb string) bool {
		return s.opts.Authenticator == nil || s.opts.Authorizer.Authorize(r.Context(), c.Identity, visibilityAccess(verb).Permission) == nil
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(sessionInfo{ // the browser went away
		User: c.Identity.User, SignedIn: c.Session != "", MayUpdate: may(auth.Update), MayDelete: may(auth.Delete),
	})
}

// SessionUser returns who reads a page of Options.Root by having signed in
// with a browser; "" for everybody else. A POST to /logout ends the session.
func SessionUser(ctx context.Context) string {
	c, _ := ctx.Value(callerContext{}).(caller)
	if c.Session == "" {
		return ""
	}
	return c.Identity.User
}
