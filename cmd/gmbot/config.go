package main

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/getsentry/sentry-go"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/rs/zerolog"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/telegram"
)

// settings are read from flags and from environment variables of the same names.
type settings struct {
	BotToken               string  `env:"BOT_TOKEN" help:"Token that @BotFather gave for the bot." placeholder:"123456:ABC…"`
	TelegramAPIURL         string  `env:"TELEGRAM_API_URL" name:"telegram-api-url" default:"https://api.telegram.org" help:"Address of the Bot API server."`
	DatabaseURL            string  `env:"DATABASE_URL" default:"sqlite://gmbot.db" help:"Where everything is stored: sqlite:///abs/path, sqlite://relative or postgres://user:password@host/database."`
	JournalFile            string  `env:"JOURNAL_FILE" help:"Where updates and changes are kept while the database is away; empty: beside the SQLite file, or gmbot.journal."`
	JournalBytes           int64   `env:"JOURNAL_BYTES" default:"67108864" help:"How large that file may grow, bytes."`
	RedisURL               string  `env:"REDIS_URL" help:"Shared cache; empty: the cache is in the process."`
	HTTPAddr               string  `env:"HTTP_ADDR" name:"http-addr" default:":8000" help:"Address of /health, /ready, /live and /metrics."`
	DebugAddr              string  `env:"DEBUG_ADDR" default:"127.0.0.1:6060" help:"Address of /debug/actors, /debug/chat/ID and /debug/pprof, for those on the machine; empty: off."`
	WebhookURL             string  `env:"WEBHOOK_URL" help:"Public https address for updates; empty: the bot polls."`
	WebhookSecret          string  `env:"WEBHOOK_SECRET" help:"Secret that Telegram shows with each webhook call."`
	WebhookAddr            string  `env:"WEBHOOK_ADDR" default:":8443" help:"Address on which webhooks are taken."`
	WebhookCertFile        string  `env:"WEBHOOK_CERT_FILE" help:"Certificate in PEM to take webhooks with; empty: a proxy before the bot speaks https."`
	WebhookKeyFile         string  `env:"WEBHOOK_KEY_FILE" help:"Key of that certificate, in PEM."`
	LogLevel               string  `env:"LOG_LEVEL" default:"info" help:"trace, debug, info, warn or error."`
	LogFormat              string  `env:"LOG_FORMAT" default:"json" help:"json, or console for people."`
	SentryDSN              string  `env:"SENTRY_DSN" name:"sentry-dsn" help:"Where to report panics and unexpected errors; empty: nowhere."`
	SentryEnvironment      string  `env:"SENTRY_ENVIRONMENT" default:"production" help:"Environment that reports name."`
	SentryHashIDs          bool    `env:"SENTRY_HASH_IDS" name:"sentry-hash-ids" negatable:"" default:"true" help:"Reports name chats and people by hashes instead of their ids."`
	MessagesPerSecond      float64 `env:"MESSAGES_PER_SECOND" default:"28" help:"Messages and edits a second, in all."`
	MessagesPerGroupMinute float64 `env:"MESSAGES_PER_GROUP_MINUTE" default:"18" help:"Messages and edits a minute in one group."`
	ActionsPerSecond       float64 `env:"ACTIONS_PER_SECOND" default:"0" help:"Mutes, frees and deletions a second; 0: as fast as Telegram answers."`
	SweepCallsPerMinute    int     `env:"SWEEP_CALLS_PER_MINUTE" default:"60" help:"Questions a minute, in all, about known members whose leaving may have been missed; 0: none."`
}

// settingError is one fault in the settings, in words that say the cure. It never holds the value of
// something secret.
type settingError struct {
	name string // of the environment variable
	what string
	cure string
}

func (w settingError) Error() string { return fmt.Sprintf("%s: %s; %s", w.name, w.what, w.cure) }

// settingErrors are all faults at once.
type settingErrors []settingError

func (w settingErrors) Error() string {
	lines := make([]string, 0, len(w))
	for _, one := range w {
		lines = append(lines, one.Error())
	}
	return strings.Join(lines, "\n")
}

// publicAPI is Telegram's own server, the default of TELEGRAM_API_URL.
const publicAPI = "https://api.telegram.org"

var webhookSecret = regexp.MustCompile(`^[A-Za-z0-9_-]{1,256}$`)

// check finds every fault that can be found without opening anything.
func (s *settings) check() error {
	var wrong settingErrors
	add := func(bad bool, name, what, cure string) {
		if bad {
			wrong = append(wrong, settingError{name, what, cure})
		}
	}
	add(s.BotToken == "", "BOT_TOKEN", "is not set", "ask @BotFather for one, for example BOT_TOKEN=123456:ABC-DEF…")
	if s.BotToken != "" {
		_, err := telegram.NewClient(s.BotToken, "http://localhost", nil)
		add(err != nil, "BOT_TOKEN", "is not a bot token", "it looks like 123456:ABC-DEF…, as @BotFather printed it")
	}
	u, err := url.Parse(s.TelegramAPIURL)
	add(err != nil || u != nil && (u.Host == "" || u.Scheme != "http" && u.Scheme != "https"), "TELEGRAM_API_URL",
		"is no http or https address", "for example https://api.telegram.org")
	wrong = append(wrong, checkDatabase(s.DatabaseURL)...)
	add(s.JournalBytes < 1<<20, "JOURNAL_BYTES", "is too small", "at least 1048576, which is a mebibyte")
	add(s.RedisURL != "" && persistence.CheckRedisURL(s.RedisURL) != nil, "REDIS_URL", "is no Redis address", "for example redis://localhost:6379/0")
	wrong = append(wrong, s.checkWebhook()...)
	add(s.WebhookSecret != "" && !webhookSecret.MatchString(s.WebhookSecret), "WEBHOOK_SECRET",
		"may hold only A-Z, a-z, 0-9, _ and -, at most 256 of them", "for example the output of `openssl rand -hex 32`")
	level, err := zerolog.ParseLevel(s.LogLevel)
	add(err != nil || level == zerolog.NoLevel, "LOG_LEVEL", "is not a level", "one of trace, debug, info, warn, error")
	add(s.LogFormat != "json" && s.LogFormat != "console", "LOG_FORMAT", "is not a format", "json or console")
	if s.SentryDSN != "" {
		_, err := sentry.NewDsn(s.SentryDSN)
		add(err != nil, "SENTRY_DSN", "is no DSN", "as Sentry shows it, for example https://key@sentry.example.com/1")
	}
	add(s.MessagesPerSecond <= 0, "MESSAGES_PER_SECOND", "must be more than 0", "for example 28")
	add(s.MessagesPerGroupMinute <= 0, "MESSAGES_PER_GROUP_MINUTE", "must be more than 0", "for example 18")
	add(s.ActionsPerSecond < 0, "ACTIONS_PER_SECOND", "must not be negative", "0 means as fast as Telegram answers")
	add(s.SweepCallsPerMinute < 0 || s.SweepCallsPerMinute > 1000, "SWEEP_CALLS_PER_MINUTE", "must be from 0 to 1000", "for example 60")
	if len(wrong) > 0 {
		return wrong
	}
	return nil
}

// secrets are the values that must never be seen.
func (s *settings) secrets() []string {
	list := []string{s.BotToken, s.WebhookSecret, s.SentryDSN}
	if _, key, ok := strings.Cut(s.BotToken, ":"); ok {
		list = append(list, key)
	}
	for _, address := range []string{s.DatabaseURL, s.RedisURL} {
		u, err := url.Parse(address)
		if err != nil || u.User == nil {
			continue
		}
		if password, ok := u.User.Password(); ok {
			list = append(list, password)
		}
		list = append(list, u.Query().Get("password"))
	}
	return slices.DeleteFunc(list, func(one string) bool { return one == "" })
}

// journalFile is where updates and changes are kept while the database is away.
func (s *settings) journalFile() string {
	if s.JournalFile != "" {
		return s.JournalFile
	}
	if path, ok := strings.CutPrefix(s.DatabaseURL, "sqlite://"); ok {
		return path + ".journal"
	}
	return "gmbot.journal"
}

func checkDatabase(address string) settingErrors {
	const name = "DATABASE_URL"
	scheme, path, ok := strings.Cut(address, "://")
	switch {
	case !ok:
		return settingErrors{{name, "is no database address", "for example sqlite://gmbot.db"}}
	case scheme == "postgres" || scheme == "postgresql":
		if _, err := pgxpool.ParseConfig(address); err != nil { // its words may repeat the password
			return settingErrors{{name, "is no PostgreSQL address", "for example postgres://user:password@localhost:5432/gmbot"}}
		}
		return nil
	case scheme != "sqlite":
		return settingErrors{{name, "its scheme is unknown", "for example sqlite://gmbot.db"}}
	case path == "":
		return settingErrors{{name, "names no file", "for example sqlite://gmbot.db"}}
	}
	file, _, _ := strings.Cut(path, "?")
	if info, err := os.Stat(filepath.Dir(file)); err != nil || !info.IsDir() {
		return settingErrors{{name, "its folder does not exist", "create the folder, or name a file in one that exists"}}
	}
	return nil
}

// settingOf turns a fault that the parser found into one that names the variable.
func settingOf(err error) settingError {
	var parse *kong.ParseError
	words := err.Error()
	for _, field := range strings.FieldsFunc(words, func(r rune) bool { return strings.ContainsRune(" :=\"'$()", r) }) {
		name := strings.TrimPrefix(field, "--")
		if errors.As(err, &parse) && field != name {
			variable := strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
			return settingError{variable, "cannot be read", "see gmbot run --help"}
		}
	}
	return settingError{"command line", telegram.Redact(words), "see gmbot --help"}
}

// goSettings are the settings of Go itself that were made for this program, for another process of it.
func goSettings() (env []string) {
	for _, name := range []string{"GOGC", "GOMEMLIMIT", "GOMAXPROCS", "GODEBUG"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}
