package main

import (
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/gmbot/gmbot/actors"
	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/telegram"
)

// newRegistry makes the one registry. What the Go collectors name gets the program's prefix, too.
func newRegistry(s *status) *prometheus.Registry {
	reg := prometheus.NewRegistry()
	registerRuntime(prometheus.WrapRegistererWithPrefix("gmbot_", reg))
	registerProgram(reg, s)
	return reg
}

func registerRuntime(reg prometheus.Registerer) {
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
}

// registerProgram registers what the program says of itself.
func registerProgram(reg prometheus.Registerer, s *status) {
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: "gmbot", Name: "build_info", Help: "Always 1; the labels are the version of the program and of Go.",
		ConstLabels: prometheus.Labels{"version": version(), "go_version": runtime.Version()},
	})
	info.Set(1)
	is := func(name, help string, so func() bool) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "gmbot", Subsystem: "program", Name: name, Help: help}, func() float64 {
			if so() {
				return 1
			}
			return 0
		})
	}
	reg.MustRegister(
		info,
		is("ready", "1 while updates are taken and can be stored, as /ready tells, else 0.", func() bool { ok, _ := s.isReady(); return ok }),
		is("standby", "1 while another program acts on the database and this one waits, else 0.", func() bool { _, why := s.isReady(); return why == standby }),
	)
}

// registerParts registers the metrics of every part, as a running bot with every setting does.
func registerParts(reg prometheus.Registerer) {
	telegram.NewMetrics(reg)
	persistence.NewMetrics(reg)
	persistence.NewSharedMetrics(reg)
	actors.NewMetrics(reg)
	registerReports(reg)
}
