package server

import (
	"crypto/rand"
	"crypto/sha256"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Bounds of what browsers that have signed in are remembered by.
const (
	defaultSessionLifetime = 8 * time.Hour
	maxSessions            = 1000
)

// sessions remembers the tokens of browsers that have signed in, by the hash
// of what their cookie holds. The token is checked with each request as if it
// had been sent, so what is revoked is of no use here either.
type sessions struct {
	lifetime time.Duration
	mu       sync.Mutex
	tokens   map[[sha256.Size]byte]session
}

type session struct {
	token string
	ends  time.Time
}

// add remembers a token and returns what the cookie has to hold. Beyond the
// bound the session that would end first goes.
func (s *sessions) add(token string) (id string, ends time.Time) {
	id, ends = rand.Text()+rand.Text(), time.Now().Add(s.lifetime)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tokens == nil {
		s.tokens = map[[sha256.Size]byte]session{}
	}
	if len(s.tokens) >= maxSessions {
		var first [sha256.Size]byte
		for key, other := range s.tokens {
			if soonest, ok := s.tokens[first]; !ok || other.ends.Before(soonest.ends) {
				first = key
			}
		}
		delete(s.tokens, first)
	}
	s.tokens[sha256.Sum256([]byte(id))] = session{token: token, ends: ends}
	return id, ends
}

// token returns the token of a session, "" if it is not known or has ended.
func (s *sessions) token(id string) string {
	key := sha256.Sum256([]byte(id))
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.tokens[key]
	if ok && time.Now().After(found.ends) {
		delete(s.tokens, key)
		return ""
	}
	return found.token
}

// end forgets a session.
func (s *sessions) end(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.tokens, sha256.Sum256([]byte(id)))
}

// cookieName is the name of the session's cookie. With the prefix browsers
// hold it to this host and to TLS (RFC 6265bis, §4.1.3.2).
func (s *Server) cookieName() string {
	if s.opts.TLS != nil {
		return "__Host-clover-session"
	}
	return "clover-session"
}

// setCookie gives the browser its session; "" takes it away.
func (s *Server) setCookie(w http.ResponseWriter, id string, ends time.Time) {
	c := &http.Cookie{
		Name: s.cookieName(), Value: id, Path: "/", Expires: ends,
		HttpOnly: true, Secure: s.opts.TLS != nil, SameSite: http.SameSiteStrictMode,
	}
	if id == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}

// session returns the session that a browser's request belongs to, with its
// token; "" if there is none. The API believes a cookie only if the browser
// says, or would not be able to hide, that a page of this server asks: what
// changes something can be asked for by no other page.
func (s *Server) session(r *http.Request) (id, token string) {
	if !s.hasLogin() || !s.isPage(r) && !fromOwnPage(r) {
		return "", ""
	}
	c, err := r.Cookie(s.cookieName())
	if err != nil {
		return "", ""
	}
	return c.Value, s.sessions.token(c.Value)
}

// isPage reports whether a request is for a page, in contrast to the API.
func (s *Server) isPage(r *http.Request) bool {
	return s.hasLogin() && isSafe(r) && !strings.HasPrefix(r.URL.Path, "/api/") && r.URL.Path != "/metrics"
}

// isSafe reports whether a request changes nothing (RFC 9110, §9.2.1).
func isSafe(r *http.Request) bool { return r.Method == http.MethodGet || r.Method == http.MethodHead }

// fromOwnPage reports whether a browser sends a request for one of this
// server's own pages, or for a person who typed its address. Over plain HTTP
// browsers leave Sec-Fetch-Site out: a change then needs Origin, which they
// send with each; the answer to a read can be seen by no page of another
// origin.
func fromOwnPage(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "same-origin":
		return true
	case "none":
		return isSafe(r)
	case "":
		origin, err := url.Parse(r.Header.Get("Origin"))
		if err != nil || origin.Host == "" {
			return err == nil && isSafe(r) && r.Header.Get("Origin") == ""
		}
		return origin.Host == r.Host
	}
	return false
}
