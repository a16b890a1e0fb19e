package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/annex-dev/annex/cmd/annex/kubeconfig"
	"github.com/annex-dev/annex/cmd/kubectl-annex/session"
)

func newKubeconfigCommand(c *common) *cobra.Command {
	var (
		output           string
		flatten, current bool
		copyAdmin        bool
		account          accountFlags
	)
	command := &cobra.Command{
		Use:   "kubeconfig [WORKSPACE]",
		Short: "Print a kubeconfig for a workspace, with your own credentials",
		Long: "Print a kubeconfig for a workspace, the current one by default. It has the certificate authority, the proxy and the credentials of the\n" +
			"context: an exec plugin stays one. It is for yourself.\n\n" +
			"With --service-account, it is for a ServiceAccount of the workspace: an exec plugin asks for a short-lived token with your credentials, from\n" +
			"the kubeconfig and the context that you use now, and renews it. With --role too, the ServiceAccount is created if it does not exist, and the\n" +
			"ClusterRole is bound to it in the whole workspace. For tools that cannot run a plugin, such as Argo CD, create a WorkspaceAccess.\n\n" +
			"The token or the certificate of an administrator gives full access to whoever has the file, so it is not copied unless you set\n" +
			"--copy-administrator-credentials.",
		Example: c.example("\n  $ kubeconfig :root:org:team > team.kubeconfig\n  $ kubeconfig :root:org:team --output ~/.kube/config --set-current" +
			"\n  $ kubeconfig :root:org:team --service-account ci/deployer --role edit > deployer.kubeconfig"),
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: c.completeWorkspaces,
	}
	command.RunE = func(command *cobra.Command, args []string) error {
		if current && output == "" {
			return errors.New("--set-current: has no effect without --output")
		}
		ctx := command.Context()
		entry, err := c.makeKubeconfig(ctx, args, flatten, copyAdmin, account)
		if err != nil {
			return err
		}
		if entry.Warning != "" {
			c.warn("%s", entry.Warning)
		}
		if output == "" {
			data, err := clientcmd.Write(*entry.Config())
			if err != nil {
				return fmt.Errorf("writing the kubeconfig: %w", err)
			}
			_, err = c.Out.Write(data)
			return err
		}
		warning, err := entry.WriteTo(ctx, output, current)
		if err != nil {
			return err
		}
		if warning != "" {
			c.warn("%s", warning)
		}
		fmt.Fprintf(c.Out, "Wrote context %q to %s.\n", entry.Name, output)
		return nil
	}
	flags := command.Flags()
	flags.StringVarP(&output, "output", "o", "", "Kubeconfig to add the context to. Other entries do not change. Default: print a complete kubeconfig.")
	flags.BoolVar(&current, "set-current", false, "Make the context the current one of --output.")
	flags.BoolVar(&flatten, "flatten", false, "Embed the content of certificate and key files.")
	account.add(flags)
	flags.BoolVar(&copyAdmin, kubeconfig.CopyAdministratorFlag, false, kubeconfig.CopyAdministratorUsage)
	return command
}

// makeKubeconfig returns the context for the workspace that args names.
func (c *common) makeKubeconfig(ctx context.Context, args []string, flatten, copyAdmin bool, account accountFlags) (*kubeconfig.Entry, error) {
	for name, set := range map[string]bool{
		"--user": *c.flags.AuthInfoName != "", "--cluster": *c.flags.ClusterName != "", "--token": *c.flags.BearerToken != "", "--as": *c.flags.Impersonate != "",
		"--server": *c.flags.APIServer != "", "--client-certificate": *c.flags.CertFile != "",
	} {
		if set {
			return nil, fmt.Errorf("%s: the kubeconfig is made of a context; set --context", name)
		}
	}
	s, err := c.open(ctx)
	if err != nil {
		return nil, err
	}
	_, path, err := s.WorkspaceURL(ctx)
	if len(args) == 1 {
		var target session.Target
		if target, err = s.Resolve(ctx, args[0]); err == nil && !target.Path.Empty() {
			path = target.Path
		}
	}
	if err != nil {
		return nil, err
	}
	rules, ok := s.Access().(*clientcmd.ClientConfigLoadingRules)
	if !ok {
		return nil, fmt.Errorf("the kubeconfig is read by %T, which is not supported", s.Access())
	}
	source, err := kubeconfig.Load(rules, *c.flags.Context)
	if err != nil {
		return nil, err
	}
	options := kubeconfig.Options{Target: kubeconfig.Target{Workspace: path}, Flatten: flatten, CopyAdministrator: copyAdmin}
	if err := account.check(); err != nil {
		return nil, err
	}
	if account.name != "" {
		if options.Name, options.User, err = c.forAccount(ctx, s, path, account, rules); err != nil {
			return nil, err
		}
	}
	return kubeconfig.Make(ctx, source, options)
}
