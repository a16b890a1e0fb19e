package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/annex-dev/annex/cmd/kubectl-annex/publish"
	"github.com/annex-dev/annex/cmd/kubectl-annex/snapshot"
)

func newPublishCommand(c *common) *cobra.Command {
	var (
		file    string
		timeout time.Duration
		o       publish.Options
	)
	command := &cobra.Command{
		Use:   "publish (CRD... | -f FILE|DIRECTORY) [--export NAME]",
		Short: "Offer CustomResourceDefinitions to other workspaces",
		Long: "Offer CustomResourceDefinitions of the current workspace to other workspaces, by an APIExport that follows them: when a definition\n" +
			"changes, the APIExport changes, too. With --filename, the definitions are applied first, so that one command publishes all those\n" +
			"of a directory or of a chart. The command waits until the APIExport has them.\n\n" + findHelp,
		Example: c.example(`
  $ publish widgets.example.com --export widgets
  $ publish -f config/crd

  # All definitions of a chart: those in its folder crds, or those among its templates
  $ publish -f charts/cert-manager --export certificates
  helm template charts/cert-manager --set crds.enabled=true | ` + c.typed + ` publish -f - --export certificates

  $ publish widgets.example.com --stop`),
	}
	command.RunE = func(command *cobra.Command, names []string) error {
		switch {
		case (file == "") == (len(names) == 0):
			return errors.New("give either the names of CustomResourceDefinitions or --filename")
		case o.Stop && (file != "" || o.Export != ""):
			return errors.New("--stop takes the names of CustomResourceDefinitions, and neither --filename nor --export")
		}
		var manifests []snapshot.Manifest
		if file != "" {
			var err error
			if manifests, err = c.readDefinitions(file); err != nil {
				return err
			}
		}
		return c.publish(command.Context(), names, manifests, o, timeout)
	}
	flags := command.Flags()
	flags.StringVarP(&file, "filename", "f", "", "File or directory with CustomResourceDefinitions to apply and publish; - is stdin.")
	flags.StringVar(&o.Export, "export", "", "Name of the APIExport. Default: the group of each definition.")
	flags.BoolVar(&o.Stop, "stop", false, "Stop following the definitions. The APIExport stays as it is.")
	flags.DurationVar(&timeout, "timeout", 30*time.Second, "How long to wait until the APIExport has the definitions.")
	c.addWorkspaceFlag(command)
	return command
}

// findHelp says what --filename reads.
const findHelp = "A directory is read with all its files that end with .yaml, .yml or .json, but without the directories in it. Of a directory with a\n" +
	"Chart.yaml, the directory crds is read, and so are those of the charts in its directory charts. Objects of other kinds are left out."

// readDefinitions reads a file, a directory, a chart or stdin, and says what it has left out. There is at least one definition.
func (c *common) readDefinitions(file string) ([]snapshot.Manifest, error) {
	var found snapshot.Found
	var err error
	if file == "-" {
		found, err = snapshot.FindIn(c.In, "stdin")
	} else {
		found, err = snapshot.Find(file)
	}
	if err != nil {
		return nil, fmt.Errorf("--filename %s: %w", file, err)
	}
	for _, chart := range found.Packed {
		c.warn("%s is not read: unpack it, or publish its definitions with: helm show crds %s | %s publish -f -", chart, chart, c.typed)
	}
	if len(found.Manifests) == 0 {
		return nil, fmt.Errorf("--filename %s: has no CustomResourceDefinition%s", file, found.Advice())
	}
	if found.Others > 0 {
		fmt.Fprintf(c.ErrOut, "Note: %d objects of other kinds were left out\n", found.Others)
	}
	return found.Manifests, nil
}

// publish publishes definitions, and says how to bind them.
func (c *common) publish(ctx context.Context, names []string, manifests []snapshot.Manifest, o publish.Options, timeout time.Duration) error {
	s, err := c.open(ctx)
	if err != nil {
		return err
	}
	url, path, err := s.WorkspaceURL(ctx)
	if err != nil {
		return err
	}
	p, err := publish.New(s.At(url), o)
	if err != nil {
		return err
	}
	for _, manifest := range manifests {
		if err := p.Apply(ctx, manifest.JSON); err != nil {
			return err
		}
		names = append(names, manifest.Definition.Name)
	}
	const kind = "customresourcedefinition.apiextensions.k8s.io"
	told := map[string]bool{}
	for _, name := range names {
		export, err := p.Annotate(ctx, name)
		if err != nil {
			return err
		}
		if o.Stop {
			fmt.Fprintf(c.Out, "%s/%s no longer published, APIExport %q stays as it is\n", kind, name, export)
			continue
		}
		if err := c.awaitPublished(ctx, p, name, export, timeout); err != nil {
			return err
		}
		fmt.Fprintf(c.Out, "%s/%s published by APIExport %q\n", kind, name, export)
		told[export] = true
	}
	for export := range told {
		fmt.Fprintf(c.ErrOut, "Note: bind it in other workspaces with: kubectl annex bind apiexport %s:%s\n", path, export)
	}
	return nil
}

func (c *common) awaitPublished(ctx context.Context, p *publish.Publisher, name, export string, timeout time.Duration) error {
	line := c.progress(fmt.Sprintf("APIExport %q is being made", export))
	defer line.Stop()
	return p.Wait(ctx, name, export, timeout)
}
