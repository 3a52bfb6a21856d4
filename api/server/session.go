package server

import (
	"crypto/rand"
	"crypto/sha256"
	"net/http"
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

// sessionToken returns the token of the session that a request for a page
// belongs to. The API takes no cookies: what changes something can only be
// asked for with a token, which no foreign page can make a browser send.
func (s *Server) sessionToken(r *http.Request) string {
	if !s.isPage(r) {
		return ""
	}
	c, err := r.Cookie(s.cookieName())
	if err != nil {
		return ""
	}
	return s.sessions.token(c.Value)
}

// isPage reports whether a request is for a page, in contrast to the API.
func (s *Server) isPage(r *http.Request) bool {
	return s.hasLogin() && (r.Method == http.MethodGet || r.Method == http.MethodHead) &&
		!strings.HasPrefix(r.URL.Path, "/api/") && r.URL.Path != "/metrics"
}
