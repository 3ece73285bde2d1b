package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/telegram/simulator/load"
)

// benchBot is a bot under load.
type benchBot struct {
	*benchProcess

	http  string // where gmbot serves its metrics; empty for the bare bot
	redis string
	drop  func() error // forgets its database
}

// startBare starts the bare library's bot.
func startBare(errOut io.Writer, said benchSays) (*benchBot, error) {
	env := []string{"BOT_TOKEN=" + said.Town.Token, "TELEGRAM_API_URL=" + said.URL}
	p, err := startSelf(errOut, env, "bench-bare", fmt.Sprintf("--channel=%d", said.Town.ChannelID))
	if err != nil {
		return nil, err
	}
	return &benchBot{benchProcess: p, drop: func() error { return nil }}, nil
}

// startGMBot starts `gmbot run` with a database in which the town's groups are protected, and sleeping ones
// beside them.
func (b *bench) startGMBot(ctx context.Context, said benchSays, sleeping int) (*benchBot, error) {
	where := &b.stores
	db, drop, err := where.database(ctx)
	if err != nil {
		return nil, err
	}
	bot := &benchBot{redis: where.RedisURL, drop: drop}
	if err := protectTown(ctx, db, said.Town, sleeping); err != nil {
		return nil, errors.Join(err, drop())
	}
	env := []string{
		"BOT_TOKEN=" + said.Town.Token, "TELEGRAM_API_URL=" + said.URL, "DATABASE_URL=" + db, "REDIS_URL=" + where.RedisURL,
		"JOURNAL_FILE=" + filepath.Join(where.folder, "journal"), "HTTP_ADDR=127.0.0.1:0",
		"DEBUG_ADDR=" + b.debug,
	}
	if bot.benchProcess, err = startSelf(b.errOut, env, "run"); err != nil {
		return nil, errors.Join(err, drop())
	}
	if err := bot.awaitReady(ctx); err != nil {
		return nil, errors.Join(err, bot.end())
	}
	return bot, nil
}

// awaitReady learns from its log where the bot serves, and waits until it takes updates.
func (b *benchBot) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for b.http == "" {
		line, err := b.out.ReadBytes('\n')
		if err != nil {
			return fmt.Errorf("the bot ended at once: %w", err)
		}
		var said struct {
			HTTP string `json:"http"`
		}
		if json.Unmarshal(line, &said) == nil {
			b.http = said.HTTP
		}
	}
	b.drain()
	for {
		if _, err := fetch(ctx, "http://"+b.http+"/ready"); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.New("the bot does not get ready")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (b *benchBot) end() error {
	b.stop()
	return b.drop()
}

// begin and finish sample so that the sampling itself is not in between.
func (b *benchBot) begin(ctx context.Context) (s sample, err error) {
	if b.http != "" {
		s.metrics, err = readMetrics(ctx, b.http)
	}
	s.redis = redisCommands(ctx, b.redis)
	s.cpu = b.cpu()
	return s, err
}

// benchRest is how long after a load a bot's memory is looked at.
const benchRest = time.Second

func (b *benchBot) finish(ctx context.Context) (s sample, err error) {
	s.cpu = b.cpu()
	select {
	case <-ctx.Done():
	case <-time.After(benchRest):
	}
	s.rss, s.file, s.peak = b.memory()
	if b.http != "" {
		s.metrics, err = readMetrics(ctx, b.http)
	}
	s.redis = redisCommands(ctx, b.redis)
	return s, err
}

// benchStores are the databases a bench uses.
type benchStores struct {
	DatabaseURL string
	RedisURL    string
	folder      string // temporary
	made        int
}

// database makes an empty one: a file of its own, or a database of its own on the server.
func (s *benchStores) database(ctx context.Context) (address string, drop func() error, err error) {
	s.made++
	name := fmt.Sprintf("gmbot_bench_%d_%d", os.Getpid(), s.made)
	if strings.HasPrefix(s.DatabaseURL, "sqlite://") || s.DatabaseURL == "" {
		file := filepath.Join(s.folder, name+".db")
		return "sqlite://" + file, func() error { return removeAll(file, file+"-wal", file+"-shm") }, nil
	}
	u, err := url.Parse(s.DatabaseURL)
	if err != nil {
		return "", nil, settingErrors{{"DATABASE_URL", "is no database address", "for example postgres://user:password@localhost:5432/gmbot"}}
	}
	if err := s.onServer(ctx, "CREATE DATABASE "+name); err != nil {
		return "", nil, err
	}
	u.Path = "/" + name
	return u.String(), func() error { return s.onServer(context.WithoutCancel(ctx), "DROP DATABASE "+name+" WITH (FORCE)") }, nil
}

func (s *benchStores) onServer(ctx context.Context, statement string) error {
	db, err := pgx.Connect(ctx, s.DatabaseURL)
	if err != nil {
		return databaseFault(err)
	}
	defer func() { _ = db.Close(ctx) }()
	if _, err := db.Exec(ctx, statement); err != nil {
		return fmt.Errorf("make room on the database server: %w", err)
	}
	return nil
}

func removeAll(files ...string) (err error) {
	for _, file := range files {
		err = errors.Join(err, os.RemoveAll(file))
	}
	return err
}

// protectBatch is how many groups are stored in one transaction.
const protectBatch = 1000

// protectTown stores what administrators would have asked for: the town's groups, and others that sleep.
func protectTown(ctx context.Context, address string, town *load.Town, sleeping int) error {
	store, err := persistence.Open(ctx, address, persistence.Options{})
	if err != nil {
		return databaseFault(err)
	}
	defer func() { _ = store.Close() }()
	owner := persistence.Owner{ID: town.OwnerID}
	channels := []persistence.Channel{{ID: town.ChannelID, Title: town.ChannelTitle, Username: town.ChannelUsername}}
	for from := 0; from < len(town.Groups); from += protectBatch {
		err := store.Update(ctx, func(tx persistence.Tx) error {
			for _, id := range town.Groups[from:min(from+protectBatch, len(town.Groups))] {
				g := persistence.Group{ID: id, OwnerID: owner.ID, Title: "Group", Enabled: true, Channels: channels}
				if _, err := tx.SaveGroup(g, owner); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("protect the groups: %w", err)
		}
	}
	if sleeping == 0 {
		return nil
	}
	// Their ids are far from those that the town gave out.
	return persistence.FillGroups(ctx, store, -1_900_000_000_000, sleeping, owner.ID)
}
