package tokenfile

import (
	"os"
	"path/filepath"
	"testing"

	"k8s.io/klog/v2"
	"k8s.io/klog/v2/ktesting"
)

func TestTokens_FollowTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens.csv")
	if _, err := New(path); err == nil {
		t.Error("a missing file was read")
	}
	write := func(content string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("a,b\n")
	if _, err := New(path); err == nil {
		t.Error("a line without a uid was read")
	}
	write("one,alice,1,\"dev,ops\"\n")
	tokens, err := New(path)
	if err != nil {
		t.Fatal(err)
	}
	logger := ktesting.NewLogger(t, ktesting.NewConfig(ktesting.BufferLogs(true)))
	ctx := klog.NewContext(t.Context(), logger)
	logged := func() int {
		n := 0
		for _, entry := range logger.GetSink().(ktesting.Underlier).GetBuffer().Data() {
			if entry.Type == ktesting.LogError {
				n++
			}
		}
		return n
	}
	for _, step := range []struct {
		name, content string
		alice, bob    bool
		errors        int
	}{
		{"as it was", "one,alice,1,\"dev,ops\"\n", true, false, 0},
		{"one more", "one,alice,1\ntwo,bob,2\n", true, true, 0},
		{"a broken line", "two,bob,2\nthree\n", true, true, 1},
		{"a quote that does not end", "two,bob,2,\"dev\n", true, true, 2},
		{"one less", "two,bob,2\n", false, true, 2},
		{"nobody", "", false, false, 2},
	} {
		write(step.content)
		for range 4 {
			tokens.poll(ctx)
		}
		for token, want := range map[string]bool{"one": step.alice, "two": step.bob, "three": false, "": false} {
			if _, ok, err := tokens.AuthenticateToken(ctx, token); ok != want || err != nil {
				t.Errorf("%s: token %q: %t, %v, want %t", step.name, token, ok, err, want)
			}
		}
		if n := logged(); n != step.errors {
			t.Errorf("%s: %d errors in the log, want %d", step.name, n, step.errors)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	before := logged()
	for range 4 {
		tokens.poll(ctx)
	}
	if n := logged() - before; n != 1 {
		t.Errorf("a missing file: %d errors in the log, want 1", n)
	}
}
