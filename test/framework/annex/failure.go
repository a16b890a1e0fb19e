package annex

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"testing"
)

// Run runs the binary with args until it ends by itself and returns what it printed and its exit code.
func Run(tb testing.TB, args ...string) (stdout, stderr string, code int) {
	tb.Helper()
	binary, err := Program("annex")
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(tb.Context(), startTimeout)
	defer cancel()
	command := exec.CommandContext(ctx, binary, args...)
	var out, errs bytes.Buffer
	command.Stdout, command.Stderr = &out, &errs
	err = command.Run()
	if ctx.Err() != nil {
		tb.Fatalf("annex %v does not end:\n%s%s", args, &out, &errs)
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return out.String(), errs.String(), exit.ExitCode()
	}
	if err != nil {
		tb.Fatalf("running annex: %v", err)
	}
	return out.String(), errs.String(), 0
}
