package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/component-base/cli/flag"

	"github.com/annex-dev/annex/registry/storage"
	"github.com/annex-dev/annex/server/etcd"
)

// newCheckEtcdCommand returns the command that looks whether an external etcd can be used.
func newCheckEtcdCommand() *cobra.Command {
	options := NewOptions()
	command := &cobra.Command{
		Use:   "etcd",
		Short: "Check that Annex can use an etcd cluster",
		Long: "Look whether the store at --etcd-servers has what Annex needs of etcd, as `annex serve` does when it starts.\n" +
			"The command writes nothing. It fails if Annex cannot use the store, and prints a warning if the store is full or slow.",
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			if len(options.EtcdServers) == 0 {
				return errors.New("--etcd-servers: set the URLs of the etcd cluster to check")
			}
			if err := options.Complete(); err != nil {
				return err
			}
			if err := options.Validate(); err != nil {
				return err
			}
			silenceGRPC()
			return options.checkEtcd(command.Context(), command.OutOrStdout())
		},
	}
	var sets flag.NamedFlagSets
	options.AddFlags(&sets)
	command.Flags().AddFlagSet(sets.FlagSet("etcd"))
	return command
}

// checkEtcd prints what the probe finds in the external etcd of o, or returns why it cannot be used.
func (o *Options) checkEtcd(ctx context.Context, out io.Writer) error {
	client, err := etcd.NewClient(o.endpoints(), nil)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	bounded, cancel := context.WithTimeout(ctx, verifyTimeout)
	defer cancel()
	report, err := etcd.Probe(bounded, client.Client, o.EtcdPrefix, storage.OpsPerTxn)
	var lack *etcd.LackError
	switch {
	case errors.As(err, &lack):
		return err
	case err != nil:
		return fmt.Errorf("etcd does not answer: check that it is running and that --etcd-servers is correct: %w", err)
	}
	for _, warning := range report.Warnings {
		if _, err := fmt.Fprintf(out, "warning: %s\n", warning); err != nil {
			return err
		}
	}
	found := "etcd " + report.Version + " has what Annex needs"
	if report.Commit > 0 {
		found += fmt.Sprintf(", and a commit takes %s", report.Commit.Round(100*time.Microsecond))
	}
	_, err = fmt.Fprintln(out, found)
	return err
}
