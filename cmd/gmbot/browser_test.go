package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// browser is a real headless Chromium that looks at a page. What it waits for is what a person sees.
type browser struct {
	t   *testing.T
	ctx context.Context //nolint:containedctx // the tab's life
	dir string          // where pictures go
}

// openBrowser opens a page. What the page's scripts fail at fails the test. SCREENSHOTS names a folder for
// the pictures.
func openBrowser(t *testing.T, url string, width, height int64) *browser {
	t.Helper()
	path, err := exec.LookPath("chromium")
	require.NoError(t, err, "the test of the page needs chromium: on Debian `apt-get install chromium`")
	options := append([]chromedp.ExecAllocatorOption{}, chromedp.DefaultExecAllocatorOptions[:]...)
	options = append(options, chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))
	var listening sync.WaitGroup
	t.Cleanup(listening.Wait)
	alloc, end := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(end)
	ctx, cancel := chromedp.NewContext(alloc)
	t.Cleanup(cancel)
	b := &browser{t: t, ctx: ctx, dir: os.Getenv("SCREENSHOTS")}
	if b.dir == "" {
		b.dir = t.ArtifactDir()
	}
	require.NoError(t, chromedp.Do(ctx, chromedp.EmulateViewport(width, height)))
	failures := chromedp.Events(ctx, runtime.ExceptionThrown)
	listening.Go(func() {
		for e, err := range failures {
			if err != nil {
				return
			}
			t.Errorf("a script of the page failed: %s %+v", e.ExceptionDetails.Text, e.ExceptionDetails.Exception)
		}
	})
	b.do(chromedp.Navigate(url))
	return b
}

func (b *browser) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 20*time.Second)
	defer cancel()
	err := chromedp.Do(ctx, actions...)
	if err != nil {
		b.shoot("failed")
	}
	require.NoError(b.t, err)
}

// visible is a script's expression for the visible elements of a selector that say words.
func visible(selector, words string) string {
	return fmt.Sprintf(`[...document.querySelectorAll(%q)].filter(e => e.checkVisibility() && e.innerText.includes(%q))`, selector, words)
}

// sees waits until words are to be read in an element that is visible.
func (b *browser) sees(selector, words string) {
	b.t.Helper()
	b.when(fmt.Sprintf("%q in %s", words, selector), visible(selector, words)+".length > 0")
}

// seesNot waits until no visible element says words.
func (b *browser) seesNot(selector, words string) {
	b.t.Helper()
	b.when(fmt.Sprintf("no %q in %s", words, selector), visible(selector, words)+".length === 0")
}

func (b *browser) when(what, condition string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 30*time.Second)
	defer cancel()
	_, err := chromedp.Run(ctx, chromedp.Poll[chromedp.Void](condition,
		chromedp.WithPollingInterval(50*time.Millisecond), chromedp.WithPollingTimeout(25*time.Second)))
	if err != nil {
		b.shoot("failed")
	}
	require.NoError(b.t, err, "not seen: "+what)
}

// presses waits for an element that is visible and says words, and clicks the last of them in the same moment: the
// page may draw it anew in the next.
func (b *browser) presses(selector, words string) {
	b.t.Helper()
	b.when(fmt.Sprintf("%q in %s, to be pressed", words, selector), fmt.Sprintf(
		`(() => { const found = %s.at(-1); found?.click(); return found !== undefined })()`, visible(selector, words)))
}

// enter is the key alone, whose default a page may prevent.
var enter = chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
	for _, kind := range []input.DispatchKeyEventType{input.DispatchKeyEventTypeRawKeyDown, input.DispatchKeyEventTypeKeyUp} {
		if _, err := cdp.Call(ctx, t, input.DispatchKeyEvent, input.DispatchKeyEventParams{
			Type: kind, Key: "Enter", Code: "Enter", WindowsVirtualKeyCode: 13, NativeVirtualKeyCode: 13,
		}); err != nil {
			return err
		}
	}
	return nil
})

// measure evaluates an expression that gives a number.
func (b *browser) measure(expression string) float64 {
	b.t.Helper()
	n, err := chromedp.Run(b.ctx, chromedp.Evaluate[float64](expression))
	require.NoError(b.t, err)
	return n
}

// shoot takes a picture.
func (b *browser) shoot(name string) {
	b.t.Helper()
	png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	require.NoError(b.t, err)
	path := filepath.Join(b.dir, name+".png")
	require.NoError(b.t, os.WriteFile(path, png, 0o600))
	b.t.Log("a picture is in", path)
}

// shade makes the browser ask for a light or a dark page.
func (b *browser) shade(name string) {
	b.t.Helper()
	b.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}},
		})
		return err
	}))
}
