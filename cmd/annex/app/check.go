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

// addClientFlags adds the flags that select the cluster of a command, and returns their values. The order is that of kubectl:
// --kubeconfig, then the files in KUBECONFIG, then ~/.kube/config, then the cluster of the pod.
func addClientFlags(fs *pflag.FlagSet) (*clientcmd.ClientConfigLoadingRules, *clientcmd.ConfigOverrides) {
	rules, overrides := clientcmd.NewDefaultClientConfigLoadingRules(), &clientcmd.ConfigOverrides{}
	fs.StringVar(&rules.ExplicitPath, clientcmd.RecommendedConfigPathFlag, "", "Kubeconfig to use. Default: the files in KUBECONFIG, then ~/.kube/config, then the cluster of the pod.")
	fs.StringVar(&overrides.CurrentContext, clientcmd.FlagContext, "", "Context of the kubeconfig to use. Default: the current context.")
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
		Long: "Ask the API server of the host cluster for each API group version that Annex serves there, and report what is wrong.\n" +
			"The command needs the rights of any authenticated user. If you may read APIServices, it checks them, too.",
		Args: cobra.NoArgs,
	}
	command.AddCommand(newCheckDataCommand(), newCheckEtcdCommand())
	rules, overrides := addClientFlags(command.Flags())
	command.Flags().DurationVar(&timeout, "timeout", 30*time.Second, "Time limit for the whole command.")
	command.Flags().BoolVar(&wait, "wait", false, "Repeat the check until there is no fault, or until --timeout.")
	command.Flags().StringVarP(&output, "output", "o", "", "Output format: json, for programs. Default: one line of text per group version.")
	command.RunE = func(command *cobra.Command, _ []string) error {
		if timeout <= 0 {
			return fmt.Errorf("--timeout %s: must be greater than 0", timeout)
		}
		if output != "" && output != "json" {
			return fmt.Errorf("--output %q: must be json or empty", output)
		}
		config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides).ClientConfig()
		switch {
		case clientcmd.IsEmptyConfig(err):
			return errors.New("no kubeconfig found, and this is not a pod: set --kubeconfig to select the cluster to check")
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
