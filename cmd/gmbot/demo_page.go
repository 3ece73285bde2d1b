package main

import (
	"html/template"
	"net/http"

	"github.com/gmbot/gmbot/telegram/simulator"
)

// pageTemplate shows each chat as it is now.
const pageTemplate = `<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="2">
<meta name="viewport" content="width=device-width"><title>gmbot demo</title>
<style>body{font:16px/1.5 system-ui;max-width:50rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}
li{margin:.3rem 0}small{opacity:.7}</style>
<h1>The demo's world</h1>
{{range .}}<h2>{{.Title}} <small>{{.Kind}}</small></h2>
<p>{{range .Members}}{{.Name}} <small>({{.Status}})</small> {{end}}</p>
<ul>{{range .Messages}}<li><b>{{.From}}</b> {{.Text}}</li>{{else}}<li><small>no messages</small></li>{{end}}</ul>
{{end}}</html>`

// demoPage serves the simulator, and an overview of its world on /.
func demoPage(sim *simulator.Server, _ *stage) http.Handler {
	page := template.Must(template.New("page").Parse(pageTemplate))
	mux := http.NewServeMux()
	mux.Handle("/", sim.Handler())
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_ = page.Execute(w, sim.Chats())
	})
	return mux
}
