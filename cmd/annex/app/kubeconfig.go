package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/annex-dev/annex/cmd/annex/kubeconfig"
)

// askTimeout is the time limit for making a kubeconfig.
const askTimeout = 15 * time.Second

func newKubeconfigCommand() *cobra.Command {
	var (
		options                   kubeconfig.Options
		workspace, export, output string
		setCurrent                bool
	)
	command := &cobra.Command{
		Use:   "kubeconfig (--workspace PATH | --export PATH:NAME)",
		Short: "Write a kubeconfig for a workspace, or for the endpoint of an APIExport",
		Long: "Write a kubeconfig for a workspace, or for the endpoint of an APIExport that shows all its consumers. The kubeconfig has the\n" +
			"certificate authority, the proxy and the credentials of the current context. If that context belongs to a host cluster\n" +
			"with Annex, the kubeconfig goes through the host. Otherwise, or with --server, it goes to Annex's own endpoint.\n\n" +
			"The token or the certificate of an administrator gives full access to whoever has the file, so it is not copied unless you set\n" +
			"--copy-administrator-credentials.",
		Example: "  annex kubeconfig --workspace root:org:team > team.kubeconfig\n" +
			"  annex kubeconfig --workspace root:org:team -o ~/.kube/config --set-current\n" +
			"  annex kubeconfig --export root:provider:widgets --flatten > widgets.kubeconfig",
		Args: cobra.NoArgs,
	}
	flags := command.Flags()
	rules, overrides := addClientFlags(flags)
	flags.StringVar(&workspace, "workspace", "", "Workspace: a path such as root:org:team, or the name of a child of the current context's workspace.")
	flags.StringVar(&export, "export", "", "APIExport: <path of its workspace>:<name>, or the name of an APIExport in the current context's workspace.")
	flags.StringVar(&options.Server, "server", "", "URL of Annex's own endpoint, to use it instead of the host.")
	flags.StringVar(&options.CAFile, "certificate-authority", "", "File with the certificate authority of --server.")
	flags.StringVar(&options.Name, "name", "", "Name of the context. Default: the path of the workspace, or apiexport/<path>:<name>.")
	flags.StringVarP(&output, "output", "o", "", "Kubeconfig to add the context to. Other entries do not change. Default: write a complete kubeconfig to stdout.")
	flags.BoolVar(&setCurrent, "set-current", false, "Make the context the current context of --output.")
	flags.BoolVar(&options.Flatten, "flatten", false, "Embed the content of certificate and key files in the kubeconfig.")
	flags.BoolVar(&options.CopyAdministrator, kubeconfig.CopyAdministratorFlag, false, kubeconfig.CopyAdministratorUsage)
	command.RunE = func(command *cobra.Command, _ []string) (err error) {
		switch {
		case (workspace == "") == (export == ""):
			return errors.New("set either --workspace or --export")
		case setCurrent && output == "":
			return errors.New("--set-current: has no effect without --output; a kubeconfig on stdout has only one context")
		case workspace != "":
			if options.Target, err = kubeconfig.ParseWorkspace(workspace); err != nil {
				return fmt.Errorf("--workspace: %w", err)
			}
		default:
			if options.Target, err = kubeconfig.ParseExport(export); err != nil {
				return fmt.Errorf("--export: %w", err)
			}
		}
		source, err := kubeconfig.Load(rules, overrides.CurrentContext)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(command.Context(), askTimeout)
		defer cancel()
		entry, err := kubeconfig.Make(ctx, source, options)
		if err != nil {
			return err
		}
		return show(command, entry, output, setCurrent)
	}
	return command
}

// show writes the entry to stdout or into a file, and warnings to stderr.
func show(command *cobra.Command, entry *kubeconfig.Entry, output string, setCurrent bool) error {
	if entry.Warning != "" {
		fmt.Fprintln(command.ErrOrStderr(), "Warning:", entry.Warning)
	}
	if output == "" {
		data, err := clientcmd.Write(*entry.Config())
		if err != nil {
			return fmt.Errorf("writing the kubeconfig: %w", err)
		}
		_, err = command.OutOrStdout().Write(data)
		return err
	}
	warning, err := entry.WriteTo(command.Context(), output, setCurrent)
	if err != nil {
		return err
	}
	if warning != "" {
		fmt.Fprintln(command.ErrOrStderr(), "Warning:", warning)
	}
	_, err = fmt.Fprintf(command.OutOrStdout(), "Wrote context %q to %s.\n", entry.Name, output)
	return err
}
