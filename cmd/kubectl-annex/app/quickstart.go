package app

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/cmd/door"
	"github.com/annex-dev/annex/cmd/kubectl-annex/quickstart"
	"github.com/annex-dev/annex/cmd/kubectl-annex/session"
)

// The scenarios.
const (
	scenarioProvider = "api-provider"
	scenarioTree     = "workspaces"
)

// quickstartFlags say what to build.
type quickstartFlags struct {
	scenario, prefix        string
	cleanup, enter, samples bool
	timeout                 time.Duration
	shape                   quickstart.Shape
}

func newQuickstartCommand(c *common) *cobra.Command {
	var o quickstartFlags
	command := &cobra.Command{
		Use:   "quickstart",
		Short: "Build workspaces to try things in",
		Long: "Build workspaces to try things in, below the current workspace:\n\n" +
			"  api-provider   a provider with an API, and a consumer who has bound it\n" +
			"  workspaces     a random tree of workspaces\n\n" +
			"Everything is in one workspace, <prefix>-org. Run the command again to build what is missing, and with --cleanup to remove everything.",
		Example: c.example("\n  $ quickstart --with-samples --enter\n  $ quickstart --scenario workspaces --tree-count 20\n  $ quickstart --cleanup"),
		Args:    cobra.NoArgs,
	}
	command.RunE = func(command *cobra.Command, _ []string) error {
		if !command.Flags().Changed("tree-seed") {
			o.shape.Seed = rand.Uint64() //nolint:gosec // a tree to play with
		}
		if err := o.validate(); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(command.Context(), o.timeout)
		defer cancel()
		err := c.quickstart(ctx, &o)
		if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return fmt.Errorf("not finished after %s: %w", o.timeout, err)
		}
		return err
	}
	flags := command.Flags()
	flags.StringVar(&o.scenario, "scenario", scenarioProvider, "What to build: api-provider or workspaces.")
	flags.StringVar(&o.prefix, "name-prefix", "quickstart", "Prefix of the names of all workspaces.")
	flags.BoolVar(&o.cleanup, "cleanup", false, "Remove what the command has built.")
	flags.BoolVar(&o.enter, "enter", false, "Enter the consumer, or the top of the tree.")
	flags.BoolVar(&o.samples, "with-samples", false, "Create an object of the API in the consumer.")
	flags.DurationVar(&o.timeout, "timeout", 10*time.Minute, "How long the command may take.")
	flags.IntVar(&o.shape.Depth, "tree-depth", 3, "How many levels the tree has.")
	flags.IntVar(&o.shape.Count, "tree-count", 50, "How many workspaces the tree has.")
	flags.Uint64Var(&o.shape.Seed, "tree-seed", 0, "Number that chooses the tree. Default: a random one.")
	c.addWorkspaceFlag(command)
	return command
}

func (o *quickstartFlags) validate() error {
	if o.scenario != scenarioProvider && o.scenario != scenarioTree {
		return fmt.Errorf("--scenario %s: must be %s or %s", o.scenario, scenarioProvider, scenarioTree)
	}
	// The longest name is <prefix>-consumer.
	if faults := validation.IsDNS1123Label(o.prefix + "-consumer"); len(faults) > 0 {
		return fmt.Errorf("--name-prefix %s: %s", o.prefix, strings.Join(faults, ", "))
	}
	return o.shape.Validate()
}

// workspacesOf leads a quickstart to workspaces.
type workspacesOf struct {
	s *session.Session
	d door.Door
}

// At implements quickstart.Server.
func (w workspacesOf) At(path logicalcluster.Path) *rest.Config {
	return w.s.Quiet(w.d.WorkspaceURL(path))
}

// Workspaces implements quickstart.Server.
func (w workspacesOf) Workspaces(ctx context.Context, path logicalcluster.Path) (*rest.Config, error) {
	url, err := w.s.ObjectsURL(ctx, path)
	if err != nil {
		return nil, err
	}
	return w.s.Quiet(url), nil
}

func (c *common) quickstart(ctx context.Context, o *quickstartFlags) error {
	s, err := c.open(ctx)
	if err != nil {
		return err
	}
	_, parent, err := s.WorkspaceURL(ctx)
	if err != nil {
		return err
	}
	d, err := s.Door(ctx)
	if err != nil {
		return err
	}
	line := c.progress("Building")
	stop := func() { line.Stop() }
	defer func() { stop() }()
	b := &quickstart.Builder{
		Server: workspacesOf{s, d}, Parent: parent, Prefix: o.prefix, Doing: line.Say,
		Say: func(format string, args ...any) { line.Above(func() { fmt.Fprintf(c.Out, format+"\n", args...) }) },
	}
	if o.cleanup {
		return b.Cleanup(ctx)
	}
	var target logicalcluster.Path
	if o.scenario == scenarioTree {
		fmt.Fprintf(c.ErrOut, "Note: --tree-seed %d builds the same tree again.\n", o.shape.Seed)
		target, err = b.Tree(ctx, o.shape)
	} else {
		target, err = b.Provider(ctx, o.samples)
	}
	if err != nil || !o.enter {
		return err
	}
	line.Stop()
	stop = func() {}
	workspace, err := s.Check(ctx, target)
	if err != nil {
		return err
	}
	return c.enter(ctx, s, target, workspace, true, false)
}
