package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/annex-dev/annex/cmd/annex/check"
)

// addClientFlags adds the flags that say which cluster a command talks to and returns what they stand for: as for kubectl,
// --kubeconfig, else the files in KUBECONFIG, else ~/.kube/config, else the cluster of the pod.
func addClientFlags(fs *pflag.FlagSet) (*clientcmd.ClientConfigLoadingRules, *clientcmd.ConfigOverrides) {
	rules, overrides := clientcmd.NewDefaultClientConfigLoadingRules(), &clientcmd.ConfigOverrides{}
	fs.StringVar(&rules.ExplicitPath, clientcmd.RecommendedConfigPathFlag, "", "Kubeconfig to use. Default: those in KUBECONFIG, then ~/.kube/config, then the cluster of the pod.")
	fs.StringVar(&overrides.CurrentContext, clientcmd.FlagContext, "", "Context of the kubeconfig to use. Default: its current one.")
	return rules, overrides
}

func newCheckCommand() *cobra.Command {
	var (
		timeout time.Duration
		wait    bool
		output  string
	)
	command := &cobra.Command{
		Use:   "check",
		Short: "Check from the outside that a host cluster serves Annex",
		Long: "Ask the API server of the host cluster for each API group version that Annex serves there, and say what is wrong.\n" +
			"It needs the rights of any authenticated user; APIServices are looked at, too, where that is allowed.",
		Args: cobra.NoArgs,
	}
	rules, overrides := addClientFlags(command.Flags())
	command.Flags().DurationVar(&timeout, "timeout", 30*time.Second, "How long all of it may take.")
	command.Flags().BoolVar(&wait, "wait", false, "Look again and again until all is well, or the time is over.")
	command.Flags().StringVarP(&output, "output", "o", "", "json for a report that programs read. Default: a line for each group version.")
	command.RunE = func(command *cobra.Command, _ []string) error {
		if timeout <= 0 {
			return fmt.Errorf("--timeout %s: must be longer than nothing", timeout)
		}
		if output != "" && output != "json" {
			return fmt.Errorf("--output %q: must be json, or nothing for lines of text", output)
		}
		config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides).ClientConfig()
		switch {
		case clientcmd.IsEmptyConfig(err):
			return errors.New("there is no kubeconfig that says which cluster to check, and this is no pod: give --kubeconfig")
		case err != nil:
			return fmt.Errorf("reading the kubeconfig: %w", err)
		}
		ctx, cancel := context.WithTimeout(command.Context(), timeout)
		defer cancel()
		look := check.Once
		if wait {
			look = check.Until
		}
		report, err := look(ctx, config)
		if err != nil {
			return err
		}
		show := report.Print
		if output == "json" {
			show = report.PrintJSON
		}
		if err := show(command.OutOrStdout()); err != nil {
			return err
		}
		return report.Err()
	}
	return command
}
