package app

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/annex-dev/annex/cmd/kubectl-annex/snapshot"
)

func newCRDCommand(c *common) *cobra.Command {
	return newGroup(&cobra.Command{
		Use:     "crd",
		Short:   "Work with CustomResourceDefinitions",
		Example: c.example("\n  $ crd snapshot -f crd.yaml --prefix v1"),
	}, newSnapshotCommand(c))
}

func newSnapshotCommand(c *common) *cobra.Command {
	var file, prefix, format string
	command := &cobra.Command{
		Use:   "snapshot -f FILE --prefix PREFIX",
		Short: "Print APIResourceSchemas for CustomResourceDefinitions",
		Long: "Print an APIResourceSchema for each CustomResourceDefinition in a file. Its name is <prefix>.<plural>.<group>.\n" +
			"An APIResourceSchema cannot be changed, so use another prefix for each version of a CustomResourceDefinition. No server is asked.",
		Example: c.example("\n  $ crd snapshot -f crd.yaml --prefix v1 | kubectl apply -f -\n  helm show crds chart | " + c.typed + " crd snapshot -f - --prefix v2"),
		Args:    cobra.NoArgs,
	}
	command.RunE = func(*cobra.Command, []string) (err error) {
		switch {
		case file == "":
			return errors.New("required flag --filename (-f) not set")
		case prefix == "":
			return errors.New("required flag --prefix not set")
		case format != snapshot.YAML && format != snapshot.JSON:
			return fmt.Errorf("--output %s: must be json or yaml", format)
		}
		in := io.NopCloser(c.In)
		if file != "-" {
			if in, err = os.Open(file); err != nil {
				return fmt.Errorf("--filename: %w", err)
			}
		}
		defer func() { _ = in.Close() }()
		return snapshot.Write(c.Out, in, prefix, format)
	}
	flags := command.Flags()
	flags.StringVarP(&file, "filename", "f", "", "File with CustomResourceDefinitions; - is stdin.")
	flags.StringVar(&prefix, "prefix", "", "Prefix of the names of the schemas, such as v1.")
	flags.StringVarP(&format, "output", "o", snapshot.YAML, "Output format: json or yaml.")
	return command
}
