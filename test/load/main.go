package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/pflag"
)

func main() {
	// A signal ends the figure at hand; what was created is still removed.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A second signal ends the removal, too.
	context.AfterFunc(ctx, stop)

	ran, err := runHelper(os.Args)
	if !ran {
		err = run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	}
	switch {
	case errors.Is(err, pflag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

// run measures what the command line asks for.
func run(ctx context.Context, args []string, out, log io.Writer) error {
	o, err := parseOptions(args)
	if err != nil {
		return err
	}
	figures, err := selectFigures(o, log)
	if err != nil {
		return err
	}
	b, err := newBench(ctx, o, figures, newReport(out), log)
	if err != nil {
		return err
	}
	var failed []string
	for _, f := range figures {
		if !b.measure(ctx, f) {
			failed = append(failed, f.name)
		}
	}
	var faults []error
	if len(failed) > 0 {
		faults = append(faults, fmt.Errorf("failed: %s", strings.Join(failed, ", ")))
	}
	// Also after a signal, hence without its cancellation.
	if err := b.close(context.WithoutCancel(ctx)); err != nil {
		faults = append(faults, fmt.Errorf("cleaning up: %w", err))
	}
	return errors.Join(faults...)
}
