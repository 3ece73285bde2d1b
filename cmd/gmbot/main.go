package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

// cli is every command of the program.
type cli struct {
	Run       runCommand       `cmd:"" default:"withargs" help:"Run the bot (the default)."`
	Demo      demoCommand      `cmd:"" help:"Show the bot on a simulated Telegram: no token, no service needed."`
	Simulator simulatorCommand `cmd:"" help:"Serve a simulated Bot API, for any bot."`
	Migrate   migrateCommand   `cmd:"" help:"Look after the database's schema, and take over another bot's groups."`
	Doctor    doctorCommand    `cmd:"" help:"Look whether everything the bot needs is there, and say the cure where it is not."`
	Release   releaseCommand   `cmd:"" help:"Turn protection off and free everybody the bot muted, before closing down."`
	Warm      warmCommand      `cmd:"" help:"Fill the shared cache ahead of a start: who of those seen lately is in the channels."`
	Health    healthCommand    `cmd:"" help:"Ask a running bot for its health; the exit status is the answer."`
	Bench     benchCommand     `cmd:"" help:"Measure the bot on a simulated Telegram, and beside a bot of the bare library."`
	Version   versionCommand   `cmd:"" help:"Print the version."`

	BenchTelegram benchTelegramCommand `cmd:"" hidden:"" help:"The simulated Telegram of a bench."`
	BenchBare     benchBareCommand     `cmd:"" hidden:"" help:"The bot of the bare library that a bench compares with."`
	Reference     referenceCommand     `cmd:"" hidden:"" help:"Write docs/metrics.md and docs/settings.md from the code."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	go func() {
		// The first signal ends the program in order; with the default handling back, a second ends it at once.
		<-ctx.Done()
		stop()
	}()
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// run is main with its world handed in. It returns the exit status: 0, 1 for a command that failed,
// 2 for a wrong setting.
func run(ctx context.Context, args []string, out, errOut io.Writer) int {
	exit := -1
	parser, err := kong.New(&cli{}, kong.Name("gmbot"), kong.UsageOnError(), kong.Writers(out, errOut),
		kong.Description("A gate for Telegram groups: whoever has not joined the required channels cannot write."),
		kong.Exit(func(code int) { exit = code }), kong.ConfigureHelp(kong.HelpOptions{Compact: true}))
	if err != nil {
		return complain(errOut, err)
	}
	command, err := parser.Parse(args)
	if exit >= 0 {
		return exit // --help
	}
	if err != nil {
		return complain(errOut, settingErrors{settingOf(err)})
	}
	command.BindTo(ctx, (*context.Context)(nil))
	command.BindTo(out, (*io.Writer)(nil))
	return complain(errOut, command.Run())
}

// complain prints an error the way it helps most, and says the exit status.
func complain(errOut io.Writer, err error) int {
	var wrong settingErrors
	switch {
	case err == nil:
		return 0
	case errors.As(err, &wrong):
		for _, w := range wrong {
			_, _ = fmt.Fprintln(errOut, "gmbot: "+w.Error())
		}
		return 2
	default:
		_, _ = fmt.Fprintln(errOut, "gmbot: "+err.Error())
		return 1
	}
}
