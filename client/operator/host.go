package operator

import (
	"errors"
	"fmt"
	"strings"

	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// ThroughHost returns a copy of config, which leads to a host cluster, for the workspace at path. The path is absolute, such as root:provider. An
// operator in a pod of the host uses it with rest.InClusterConfig. A config that leads to a workspace through a host already is an error.
func ThroughHost(config *rest.Config, path string) (*rest.Config, error) {
	at, err := logicalcluster.ParsePath(path)
	if _, isName := at.Name(); err == nil && at != logicalcluster.Root.Path() && (isName || at == logicalcluster.Wildcard) {
		err = errors.New("it is not an absolute path such as root:provider")
	}
	if _, here, ok := splitHost(config.Host); err == nil && ok {
		err = fmt.Errorf("the server %s is the workspace %s already. A path of a workspace needs a kubeconfig of the host", config.Host, here)
	}
	if err != nil {
		return nil, fmt.Errorf("reaching workspace %q through a host: %w", path, err)
	}
	config = rest.CopyConfig(config)
	config.Host = strings.TrimSuffix(config.Host, "/") + workspacesPath + path + "/proxy"
	return config, nil
}
