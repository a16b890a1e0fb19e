package session

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/annex-dev/annex/cmd/kubectl-annex/near"
)

// serverVariable names the server for those who have no kubeconfig.
const serverVariable = "KUBERNETES_MASTER"

// configOf returns the server and the credentials that flags select. If there are none, the error says what to do: client-go would take a server
// on this machine.
func configOf(flags *genericclioptions.ConfigFlags) (*rest.Config, error) {
	loader := flags.ToRawKubeConfigLoader()
	raw, err := loader.RawConfig()
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	chosen := *flags.Context
	known := slices.Sorted(maps.Keys(raw.Contexts))
	if _, ok := raw.Contexts[chosen]; chosen != "" && !ok {
		return nil, fmt.Errorf("the kubeconfig has no context %q%s", chosen, near.Hint(chosen, known, ""))
	}
	if _, ok := raw.Contexts[raw.CurrentContext]; chosen == "" && raw.CurrentContext != "" && !ok {
		return nil, fmt.Errorf("the kubeconfig has no context %q, although it is the current one: choose another one with --context or 'kubectl config use-context'%s",
			raw.CurrentContext, near.Hint(raw.CurrentContext, known, ""))
	}
	config, err := flags.ToRESTConfig()
	if err != nil && !clientcmd.IsEmptyConfig(err) {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	named := *flags.APIServer != "" || *flags.ClusterName != "" || os.Getenv(serverVariable) != ""
	// In a pod, the config is that of its ServiceAccount.
	if err == nil && (named || chosen != "" || raw.CurrentContext != "" || config.Host != clientcmd.ClusterDefaults.Server) {
		return config, nil
	}
	files := strings.Join(loader.ConfigAccess().GetLoadingPrecedence(), ", ")
	if len(known) == 0 {
		return nil, fmt.Errorf("there is no kubeconfig: export KUBECONFIG=FILE or use --kubeconfig FILE, with a file from whoever runs Annex, "+
			"such as .annex/admin.kubeconfig after 'make run' (looked for %s)", files)
	}
	return nil, fmt.Errorf("the kubeconfig %s has no current context: choose one with --context or 'kubectl config use-context'%s", files, near.Hint("", known, ""))
}
