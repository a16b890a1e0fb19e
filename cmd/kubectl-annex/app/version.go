package app

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"

	"github.com/spf13/cobra"
	apiversion "k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/discovery"
	"sigs.k8s.io/yaml"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// version is set when the binary is linked.
var version = "unknown"

// versions are what the command prints, under the names that kubectl version has for them.
type versions struct {
	Client apiversion.Info  `json:"clientVersion"`
	Server *apiversion.Info `json:"serverVersion,omitempty"`
}

func newVersionCommand(c *common) *cobra.Command {
	var (
		format     string
		clientOnly bool
	)
	command := &cobra.Command{
		Use:   "version",
		Short: "Print the version of the plugin and of the server",
		Long: "Print the version of the plugin and, if it answers, of the server that the context leads to. That of the server is the version of the\n" +
			"Kubernetes API that it serves.",
		Example: c.example("\n  $ version\n  $ version --client -o json"),
		Args:    cobra.NoArgs,
	}
	command.Flags().BoolVar(&clientOnly, "client", false, "Print only the version of the plugin, without a request to the server.")
	command.Flags().StringVarP(&format, "output", "o", "", "Output format: json or yaml. Default: a line for each version.")
	_ = command.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"json", "yaml"}, cobra.ShellCompDirectiveNoFileComp))
	command.RunE = func(command *cobra.Command, _ []string) error {
		if format != "" && format != "json" && format != "yaml" {
			return fmt.Errorf("--output %s: must be json or yaml", format)
		}
		found := versions{Client: apiversion.Info{
			GitVersion: version, GoVersion: runtime.Version(), Compiler: runtime.Compiler, Platform: runtime.GOOS + "/" + runtime.GOARCH,
		}}
		if !clientOnly {
			var err error
			if found.Server, err = c.serverVersion(command.Context()); err != nil {
				c.warn("the version of the server is not known: %v", err)
			}
		}
		return c.printVersions(found, format)
	}
	return command
}

// serverVersion asks Annex for its version: the URL of a host leads to the host itself.
func (c *common) serverVersion(ctx context.Context) (*apiversion.Info, error) {
	s, err := c.open(ctx)
	if err != nil {
		return nil, err
	}
	d, err := s.Door(ctx)
	if err != nil {
		return nil, err
	}
	url := d.Inside()
	if d.Host && d.Here == "" {
		url = d.WorkspaceURL(logicalcluster.Root.Path())
	}
	client, err := discovery.NewDiscoveryClientForConfig(s.Quiet(url))
	if err != nil {
		return nil, fmt.Errorf("using the kubeconfig: %w", err)
	}
	return client.ServerVersion()
}

func (c *common) printVersions(found versions, format string) error {
	switch format {
	case "json":
		encoder := json.NewEncoder(c.Out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(found)
	case "yaml":
		out, err := yaml.Marshal(found)
		if err != nil {
			return fmt.Errorf("encoding the versions: %w", err)
		}
		_, err = c.Out.Write(out)
		return err
	}
	fmt.Fprintf(c.Out, "Client Version: %s\n", found.Client.GitVersion)
	if found.Server != nil {
		fmt.Fprintf(c.Out, "Server Version: %s\n", found.Server.GitVersion)
	}
	return nil
}
