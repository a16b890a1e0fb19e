package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/client/v3/kubernetes"
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

// checkEtcd prints what the probe finds in the external etcds of o, or returns why one cannot be used.
func (o *Options) checkEtcd(ctx context.Context, out io.Writer) error {
	client, err := etcd.NewClient(o.endpoints(), nil)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	others, err := o.openOthers(nil)
	if err != nil {
		return err
	}
	defer closeAll(others)
	if err := o.probeEtcd(ctx, out, client); err != nil {
		return err
	}
	for _, other := range others {
		if _, err := fmt.Fprintf(out, "%s:\n", strings.Join(other.Client.Endpoints(), ", ")); err != nil {
			return err
		}
		if err := o.probeEtcd(ctx, out, other.Client); err != nil {
			return err
		}
	}
	return nil
}

// probeEtcd prints what the probe finds in one etcd.
func (o *Options) probeEtcd(ctx context.Context, out io.Writer, client *kubernetes.Client) error {
	bounded, cancel := context.WithTimeout(ctx, verifyTimeout)
	defer cancel()
	report, err := etcd.Probe(bounded, client.Client, o.EtcdPrefix, storage.OpsPerTxn)
	var lack *etcd.LackError
	switch {
	case errors.As(err, &lack):
		return err
	case err != nil:
		return fmt.Errorf("etcd does not answer: check that it is running and that --etcd-servers and --etcd-servers-overrides are correct: %w", err)
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
