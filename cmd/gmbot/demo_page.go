package main

import (
	"net/http"
	"strings"

	"github.com/gmbot/gmbot/telegram/simulator"
)

// withPage serves a simulator, and the page on which one can play in its world.
func withPage(sim *simulator.Server, view http.Handler) http.Handler {
	api := sim.Handler()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, prefix := range []string{"/bot", "/file/", "/control/"} {
			if strings.HasPrefix(r.URL.Path, prefix) {
				api.ServeHTTP(w, r)
				return
			}
		}
		view.ServeHTTP(w, r)
	})
}
