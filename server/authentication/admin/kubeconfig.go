package admin

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// entry is one context of the kubeconfig, with a cluster of the same name.
type entry struct {
	name, user string
	path       string // of the server URL
}

// entries returns the entries to write. The first one is the current context.
func entries() []entry {
	return []entry{
		{name: "root", user: kcpAdmin, path: "/clusters/root"},
		{name: "base", user: kcpAdmin},
		{name: "system:admin", user: shardAdmin, path: "/clusters/system:admin"},
		{name: "shard-base", user: shardAdmin},
	}
}

// readKubeconfig returns the kubeconfig at path, or an empty one if there is none. It refuses a kubeconfig without our
// entries, because it may be the wrong file.
func readKubeconfig(path string) (*clientcmdapi.Config, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || (err == nil && info.Mode().IsRegular() && info.Size() == 0) {
		return clientcmdapi.NewConfig(), nil
	}
	if err != nil {
		return nil, describe("reading the kubeconfig of the administrators", path, err)
	}
	config, err := clientcmd.LoadFromFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig of the administrators: %s is not a kubeconfig (%w); remove it or choose another --kubeconfig-path", path, err)
	}
	if config.AuthInfos[kcpAdmin] == nil && config.AuthInfos[shardAdmin] == nil {
		return nil, fmt.Errorf("writing the kubeconfig of the administrators: %s is a kubeconfig that this server did not write; choose another --kubeconfig-path", path)
	}
	return config, nil
}

// tokensIn returns the tokens in config by user; false if they do not all match the stored hashes.
func tokensIn(config *clientcmdapi.Config, stored map[string]hash) (map[string]string, bool) {
	out := map[string]string{}
	for _, u := range administrators() {
		info := config.AuthInfos[u.Name]
		want, ok := stored[u.Name]
		if info == nil || info.Token == "" || !ok || sha256.Sum256([]byte(info.Token)) != want {
			return map[string]string{}, false
		}
		out[u.Name] = info.Token
	}
	return out, true
}

// writeKubeconfig puts our entries into config and writes it.
func writeKubeconfig(path string, config *clientcmdapi.Config, secrets map[string]string, url string, caPEM []byte) error {
	for name, secret := range secrets {
		config.AuthInfos[name] = &clientcmdapi.AuthInfo{Token: secret}
	}
	for _, e := range entries() {
		config.Clusters[e.name] = &clientcmdapi.Cluster{Server: url + e.path, CertificateAuthorityData: caPEM}
		namespace := ""
		if old := config.Contexts[e.name]; old != nil {
			namespace = old.Namespace
		}
		config.Contexts[e.name] = &clientcmdapi.Context{Cluster: e.name, AuthInfo: e.user, Namespace: namespace}
	}
	if config.Contexts[config.CurrentContext] == nil {
		config.CurrentContext = entries()[0].name
	}
	content, err := clientcmd.Write(*config)
	if err != nil {
		return describe("encoding the kubeconfig", path, err)
	}
	return writeFile(path, content)
}
