package telegram

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gmbot/gmbot/protos"
)

// Metrics counts calls and updates. Its nil pointer counts nothing.
type Metrics struct {
	calls    *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	updates  *prometheus.CounterVec
	polls    *prometheus.CounterVec
	inAir    prometheus.Gauge
	taken    prometheus.Histogram
	whole    prometheus.Histogram
	age      prometheus.Histogram
	lastPoll prometheus.Gauge
	hooks    *prometheus.CounterVec
	pending  prometheus.Gauge
	refused  prometheus.Gauge
	lag      prometheus.Gauge
	daily    map[string]dailyCall // what is looked up by labels otherwise
	settles  map[protos.EventKind]prometheus.Counter
}

// dailyCall are the metrics of a method of the gate's daily life.
type dailyCall struct {
	done    prometheus.Counter
	seconds prometheus.Observer
}

// NewMetrics registers the metrics of this package.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	const ns, api, updates = "gmbot", "api", "updates"
	m := &Metrics{
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: ns, Subsystem: api, Name: "calls_total", Help: "Calls to Telegram, by method and outcome.",
		}, []string{"method", "outcome"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: ns, Subsystem: api, Name: "call_seconds", Help: "How long calls took.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 15, 60},
		}, []string{"method"}),
		updates: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: ns, Name: "updates_total", Help: "Updates, by kind and what became of them.",
		}, []string{"kind", "outcome"}),
		polls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: ns, Subsystem: updates, Name: "polls_total", Help: "Long polls, by outcome.",
		}, []string{"outcome"}),
		inAir: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: ns, Name: "in_air_updates", Help: "Updates taken and not yet settled.",
		}),
		taken: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: ns, Subsystem: updates, Name: "intake_age_seconds",
			Help: "Age of an update at its intake, by Telegram's date, which counts whole seconds.", Buckets: ages(),
		}),
		whole: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: ns, Subsystem: updates, Name: "settle_age_seconds",
			Help: "Age of an update at its settling, by Telegram's date, which counts whole seconds.", Buckets: ages(),
		}),
		age: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: ns, Subsystem: updates, Name: "settle_seconds", Help: "From an update's intake to its settling.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 15},
		}),
		lastPoll: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: ns, Subsystem: updates, Name: "last_poll_timestamp_seconds", Help: "When Telegram last answered a poll.",
		}),
		lag: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: ns, Subsystem: updates, Name: "poll_lag_seconds",
			Help: "Age of the oldest update of the last batch at its intake; 0 when the last poll brought none.",
		}),
	}
	reg.MustRegister(m.calls, m.seconds, m.updates, m.polls, m.inAir, m.taken, m.whole, m.age, m.lastPoll, m.lag)
	m.settles = map[protos.EventKind]prometheus.Counter{}
	for i := range protos.EventKind_name {
		// What begins at 0 shows its first increase, too.
		for _, outcome := range []string{"redelivered", "set_aside"} {
			m.updates.WithLabelValues(protos.EventKind(i).String(), outcome)
		}
		m.settles[protos.EventKind(i)] = m.updates.WithLabelValues(protos.EventKind(i).String(), "settled")
	}
	for _, o := range []protos.Outcome{
		protos.Outcome_DONE, protos.Outcome_FAILED, protos.Outcome_UNCLEAR, protos.Outcome_FLOOD, protos.Outcome_CONFLICT, protos.Outcome_UNAUTHORIZED,
	} {
		m.polls.WithLabelValues(o.String())
	}
	m.daily = map[string]dailyCall{}
	// The methods of the gate's daily life, so that the number of series does not depend on what happened so far.
	for _, method := range []string{
		"getChatMember", "restrictChatMember", "deleteMessage", "deleteMessages", "sendMessage", "editMessageText",
		"editMessageReplyMarkup", "answerCallbackQuery", "getChat", "getChatAdministrators",
	} {
		m.daily[method] = dailyCall{m.calls.WithLabelValues(method, protos.Outcome_DONE.String()), m.seconds.WithLabelValues(method)}
	}
	const webhook = "webhook"
	m.hooks = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: ns, Subsystem: webhook, Name: "requests_total", Help: "Requests to the webhook, by status of the answer.",
	}, []string{"status"})
	m.pending = prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: ns, Subsystem: webhook, Name: "pending_updates", Help: "Updates that Telegram has not delivered, as it said last.",
	})
	m.refused = prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: ns, Subsystem: webhook, Name: "last_error_timestamp_seconds", Help: "When Telegram last failed to deliver an update; 0: never.",
	})
	reg.MustRegister(m.hooks, m.pending, m.refused)
	return m
}

// ages are the buckets of ages by Telegram's date: from "at once" to what an outage leaves behind.
func ages() []float64 { return []float64{1, 2, 3, 5, 10, 30, 60, 300, 1800, 7200, 86400} }

func (m *Metrics) called(method string, o protos.Outcome, took time.Duration) {
	if m == nil {
		return
	}
	if daily, ok := m.daily[method]; ok && o == protos.Outcome_DONE {
		daily.done.Inc()
		daily.seconds.Observe(took.Seconds())
		return
	}
	m.calls.WithLabelValues(method, o.String()).Inc()
	m.seconds.WithLabelValues(method).Observe(took.Seconds())
}

func (m *Metrics) update(kind, outcome string) {
	if m != nil {
		m.updates.WithLabelValues(kind, outcome).Inc()
	}
}

func (m *Metrics) polled(o protos.Outcome, at time.Time) {
	if m == nil {
		return
	}
	m.polls.WithLabelValues(o.String()).Inc()
	if o == protos.Outcome_DONE {
		m.lastPoll.Set(float64(at.UnixMilli()) / 1000)
	}
}

// took notes the age of an update at its intake; an event without a date of Telegram's has none.
func (m *Metrics) took(e *protos.Event) {
	if m == nil {
		return
	}
	if age, ok := ageOf(e, e.GetReceivedMs()); ok {
		m.taken.Observe(age)
	}
}

// lagged notes how old the oldest update of a batch was.
func (m *Metrics) lagged(batch []*item) {
	if m == nil {
		return
	}
	oldest := 0.0
	for _, it := range batch {
		if age, ok := ageOf(it.e, it.e.GetReceivedMs()); ok {
			oldest = max(oldest, age)
		}
	}
	m.lag.Set(oldest)
}

func ageOf(e *protos.Event, nowMs int64) (seconds float64, ok bool) {
	return max(float64(nowMs)/1000-float64(e.GetDate()), 0), e.GetDate() > 0
}

func (m *Metrics) settled(e *protos.Event, nowMs int64) {
	if m == nil {
		return
	}
	if settled := m.settles[e.GetKind()]; settled != nil {
		settled.Inc()
	}
	m.age.Observe(float64(nowMs-e.GetReceivedMs()) / 1000)
	if age, ok := ageOf(e, nowMs); ok {
		m.whole.Observe(age)
	}
}

func (m *Metrics) air(n int) {
	if m != nil {
		m.inAir.Set(float64(n))
	}
}

func (m *Metrics) hooked(status int) {
	if m != nil {
		m.hooks.WithLabelValues(strconv.Itoa(status)).Inc()
	}
}

func (m *Metrics) webhook(info *WebhookInfo) {
	if m != nil {
		m.pending.Set(float64(info.Pending))
		m.refused.Set(float64(info.LastErrorDate))
	}
}
