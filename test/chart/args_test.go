package chart

import (
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/annex-dev/annex/cmd/annex/app"
)

// commandLine is a command of the binary with its flags as given.
type commandLine struct{ command *cobra.Command }

// parse finds the command that args call in the binary, and gives it its flags.
func parse(t *testing.T, args []string) commandLine {
	t.Helper()
	command, flags, err := app.NewCommand().Find(args)
	if err != nil {
		t.Fatalf("%q: %v", args, err)
	}
	if !command.Runnable() {
		t.Fatalf("%q calls no command", args)
	}
	if err := command.ParseFlags(flags); err != nil {
		t.Errorf("%q: %v", args, err)
	}
	if rest := command.Flags().Args(); len(rest) > 0 {
		t.Errorf("%q: %q are no flags", args, rest)
	}
	return commandLine{command}
}

func (c commandLine) duration(t *testing.T, flag string) time.Duration {
	t.Helper()
	value, err := c.command.Flags().GetDuration(flag)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// A flag that the binary does not have ends it at its start.
func TestChart_FlagsExist(t *testing.T) {
	eachValues(t, func(t *testing.T, file, _ string) {
		found := pods(decode(t, render(t, "--values", file)))
		if len(found) == 0 {
			t.Fatal("no pods")
		}
		for _, p := range found {
			for _, container := range p.spec.Containers {
				if len(container.Command) > 0 {
					t.Errorf("%s %s: command %q, though the image has an entry point", p.owner, p.meta.Name, container.Command)
				}
				parse(t, container.Args)
			}
		}
	})
}

// A server that is told to stop says so long enough, and then has the time that it may need.
func TestChart_TimeToStop(t *testing.T) {
	eachValues(t, func(t *testing.T, file, name string) {
		for _, p := range pods(decode(t, render(t, "--values", file))) {
			if p.owner == "Pod" {
				continue
			}
			options := parse(t, p.spec.Containers[0].Args)
			readiness := p.spec.Containers[0].ReadinessProbe
			delay := options.duration(t, "shutdown-delay-duration").Seconds()
			switch unready := readiness.PeriodSeconds * readiness.FailureThreshold; {
			case p.owner == "StatefulSet" && name == "default":
				// Its successor waits for its end, and the host asks a server that ends nothing more.
				if delay > 0 {
					t.Errorf("the only server goes on for %g s before it ends", delay)
				}
			case p.owner != "StatefulSet" && delay < float64(unready):
				t.Errorf("stops serving after %g s, leaves the Service after %d s", delay, unready)
			}
			needed := delay + options.duration(t, "shutdown-watch-termination-grace-period").Seconds() + options.duration(t, "request-timeout").Seconds()
			if grace := float64(*p.spec.TerminationGracePeriodSeconds); grace <= needed {
				t.Errorf("has %g s to stop and may need %g s", grace, needed)
			}
		}
	})
}
