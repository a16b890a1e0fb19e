package app

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"k8s.io/component-base/cli/flag"

	"github.com/annex-dev/annex/registry/kinds"
	"github.com/annex-dev/annex/registry/storage"
	"github.com/annex-dev/annex/registry/storage/orphans"
)

// newCheckDataCommand returns the command that looks for what belongs to nothing, in the store that `annex serve` uses with the same
// flags.
func newCheckDataCommand() *cobra.Command {
	options := NewOptions()
	repair := false
	command := &cobra.Command{
		Use:   "data",
		Short: "Find and remove stored objects that belong to nothing",
		Long: "List the keys in etcd whose logical cluster, namespace, CustomResourceDefinition or APIBinding does not exist.\n" +
			"Nobody can read or delete these objects. This version of the server does not create any; older versions could.\n" +
			"With the embedded etcd, stop the server first. With an external etcd, servers may run.",
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			if err := options.Complete(); err != nil {
				return err
			}
			if err := options.Validate(); err != nil {
				return err
			}
			if _, err := os.Stat(options.EmbeddedEtcdDirectory); err != nil && len(options.EtcdServers) == 0 {
				return fmt.Errorf("finding the data of the embedded etcd: %w; set --root-directory, or --etcd-servers for an external etcd", err)
			}
			silenceGRPC()
			return options.checkData(command.Context(), command.OutOrStdout(), repair)
		},
	}
	var sets flag.NamedFlagSets
	options.AddFlags(&sets)
	command.Flags().AddFlagSet(sets.FlagSet("etcd"))
	command.Flags().AddFlag(sets.FlagSet("annex").Lookup("root-directory"))
	command.Flags().BoolVar(&repair, "repair", false, "Remove each of these objects after it is listed, whatever its finalizers.")
	return command
}

// checkData prints every orphan in the store of o and, if repair is set, removes it. It returns an error if orphans remain.
func (o *Options) checkData(ctx context.Context, out io.Writer, repair bool) error {
	s, err := o.openEtcd(ctx, storage.CheckVersion)
	if err != nil {
		return err
	}
	defer s.stop()
	bounded, cancel := context.WithTimeout(ctx, verifyTimeout)
	defer cancel()
	if err := s.wait(bounded); err != nil {
		return err
	}
	data := orphans.Store{KV: s.client.KV, Prefix: o.EtcdPrefix, Codec: kinds.All.NewScheme().StorageCodec,
		Encryption: storage.NewEncryption(s.encryption.resources)}
	for _, other := range s.others {
		data.Elsewhere = append(data.Elsewhere, other.Client.KV)
	}
	found, removed := 0, 0
	if err := data.Find(ctx, func(orphan orphans.Orphan) error {
		found++
		if _, err := fmt.Fprintf(out, "%s: %s\n", o.EtcdPrefix+orphan.Key.String(), orphan.Reason); err != nil || !repair {
			return err
		}
		done, err := data.Remove(ctx, orphan)
		if done {
			removed++
		}
		return err
	}); err != nil {
		return fmt.Errorf("checking the data: %w", err)
	}
	switch {
	case found == 0:
		_, err = fmt.Fprintln(out, "every stored object belongs to something")
	case removed == found:
		_, err = fmt.Fprintf(out, "removed %d\n", removed)
	case repair:
		err = fmt.Errorf("removed %d of %d: the others have changed meanwhile; run the command again", removed, found)
	default:
		err = fmt.Errorf("%d stored objects belong to nothing: run the command with --repair to remove them", found)
	}
	return err
}
