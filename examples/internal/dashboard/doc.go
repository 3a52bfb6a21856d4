// Package dashboard tests the dashboard in a real browser, against the real
// server with real traffic. It has tests only; what drives the browser is in
// web/e2e.
package dashboard
