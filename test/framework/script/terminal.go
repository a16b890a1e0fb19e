package script

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"k8s.io/client-go/util/cert"

	"github.com/annex-dev/annex/test/framework/annex"
	"github.com/annex-dev/annex/test/framework/host/process"
)

// Terminal is where a script is typed.
type Terminal struct {
	tb          testing.TB
	binary, dir string
	flags       []string
	kept        map[string]string
}

// New returns a terminal in a new directory with files, and tls.crt and tls.key beside them. flags are in front of the arguments of each
// command: they say which kubeconfig, and which server.
func New(tb testing.TB, files map[string]string, flags ...string) *Terminal {
	tb.Helper()
	binary, err := annex.Program("kubectl")
	if err != nil {
		tb.Fatal(err)
	}
	port, err := process.FreePort(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	t := &Terminal{tb: tb, binary: binary, dir: tb.TempDir(), flags: flags, kept: map[string]string{"port": strconv.Itoa(port)}}
	certificate, key, err := cert.GenerateSelfSignedCertKey("shop.example.com", nil, nil)
	if err != nil {
		tb.Fatal(err)
	}
	t.write("tls.crt", string(certificate))
	t.write("tls.key", string(key))
	for name, content := range files {
		t.write(name, content)
	}
	return t
}

func (t *Terminal) write(name, content string) {
	t.tb.Helper()
	path := filepath.Join(t.dir, name)
	err := os.MkdirAll(filepath.Dir(path), 0o700)
	if err == nil {
		err = os.WriteFile(path, []byte(content), 0o600)
	}
	if err != nil {
		t.tb.Fatal(err)
	}
}

// Type types all steps and fails the test for each after which something is not as it should be.
func (t *Terminal) Type(steps []Step) {
	t.tb.Helper()
	ctx, cancel := context.WithCancel(t.tb.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	for _, step := range steps {
		switch {
		case step.Background:
			said := t.start(ctx, step, &running)
			annex.Eventually(t.tb, said.contains(step.Ready))
			defer func() {
				for _, want := range step.Says {
					annex.Eventually(t.tb, said.contains(want))
				}
			}()
		case step.Eventually:
			annex.Eventually(t.tb, func(ctx context.Context) error { return t.run(ctx, step) })
		default:
			if err := t.run(ctx, step); err != nil {
				t.tb.Error(err)
			}
		}
	}
}

// start runs a step in the background until ctx ends and returns what it prints.
func (t *Terminal) start(ctx context.Context, s Step, running *sync.WaitGroup) *output {
	t.tb.Helper()
	said := &output{of: s.Run}
	command := t.command(ctx, s)
	command.Stdout, command.Stderr = said, said
	if err := command.Start(); err != nil {
		t.tb.Fatal(err)
	}
	running.Go(func() { _ = command.Wait() })
	return said
}

// output is what a command has printed so far.
type output struct {
	of   string
	mu   sync.Mutex
	text []byte
}

// Write implements io.Writer.
func (o *output) Write(text []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text = append(o.text, text...)
	return len(text), nil
}

// contains is a condition.
func (o *output) contains(want string) func(context.Context) error {
	return func(context.Context) error {
		o.mu.Lock()
		defer o.mu.Unlock()
		if !bytes.Contains(o.text, []byte(want)) {
			return fmt.Errorf("kubectl %s does not say %q:\n%s", o.of, want, o.text)
		}
		return nil
	}
}

// command returns kubectl with the arguments of a step. It ends with ctx.
func (t *Terminal) command(ctx context.Context, s Step) *exec.Cmd {
	command := exec.CommandContext(ctx, t.binary, slices.Concat(t.flags, arguments(t.expand(s.Run)))...)
	command.Dir = t.dir
	command.Env = append(os.Environ(), "HOME="+t.dir)
	for name, value := range s.Env {
		command.Env = append(command.Env, name+"="+value)
	}
	command.Stdin = strings.NewReader(t.expand(s.Stdin))
	return command
}

// expand puts what was kept in the places of its names.
func (t *Terminal) expand(text string) string {
	for name, value := range t.kept {
		text = strings.ReplaceAll(text, "$"+name, value)
	}
	return text
}

var word = regexp.MustCompile("(?:`[^`]*`|[^\\s`])+")

func arguments(line string) []string {
	args := word.FindAllString(line, -1)
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "`", "")
	}
	return args
}

// run types a step and returns what is not as it should be.
func (t *Terminal) run(ctx context.Context, s Step) error {
	command := t.command(ctx, s)
	var out, errs bytes.Buffer
	command.Stdout, command.Stderr = &out, &errs
	code := 0
	err := command.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		return fmt.Errorf("kubectl %s: %w", s.Run, err)
	}
	t.kept[s.Keep] = strings.TrimSpace(out.String())
	delete(t.kept, "")
	s.Says = slices.Clone(s.Says)
	for i := range s.Says {
		s.Says[i] = t.expand(s.Says[i])
	}
	if wrong := s.wrong(code, out.String(), errs.String()); wrong != "" {
		return fmt.Errorf("kubectl %s: %s; it ends with %d:\n%s%s", s.Run, wrong, code, &out, &errs)
	}
	return nil
}

// wrong returns what is not as it should be, empty if nothing.
func (s Step) wrong(code int, out, errs string) string {
	switch {
	case s.Fails && code == 0:
		return "does not fail"
	case !s.Fails && code != s.Code:
		return fmt.Sprintf("want %d", s.Code)
	case s.Is != nil && strings.TrimSpace(out) != *s.Is:
		return fmt.Sprintf("want %q", *s.Is)
	case s.Once && strings.Count(strings.TrimSpace(out+errs), "\n") > 0:
		return "says more than a sentence"
	}
	for _, want := range s.Says {
		if !strings.Contains(out+errs, want) {
			return fmt.Sprintf("does not say %q", want)
		}
	}
	for _, unwanted := range s.Lacks {
		if strings.Contains(out+errs, unwanted) {
			return fmt.Sprintf("says %q", unwanted)
		}
	}
	return ""
}
