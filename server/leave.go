package server

import "net/http"

// withLeave asks clients to leave, from the stop signal on: each answer ends its connection, as soon as everything on it has ended.
// The server still serves everybody then, and whoever connects anew reaches one that stays. A client that keeps its connection
// until requests are refused has to try again seconds later.
func withLeave(next http.Handler, stopping <-chan struct{}) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-stopping:
			// In HTTP/2 net/http makes it a GOAWAY, which leaves open watches alone.
			w.Header().Set("Connection", "close")
		default:
		}
		next.ServeHTTP(w, r)
	})
}
