package workspaceaccess

import (
	"encoding/json"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
)

const (
	// argoLabel and argoCluster mark a Secret as a cluster of Argo CD:
	// https://argo-cd.readthedocs.io/en/stable/operator-manual/declarative-setup/#clusters
	argoLabel   = "argocd.argoproj.io/secret-type"
	argoCluster = "cluster"
	// fluxKey is the key in which Flux looks for a kubeconfig: https://fluxcd.io/flux/components/kustomize/kustomizations/#kubeconfig-reference
	fluxKey = "value"
	// plainKey is the key of a plain kubeconfig.
	plainKey = "kubeconfig"
)

// ownKeys are all keys that some format uses. Other keys of a Secret are those of users, such as project for Argo CD, and stay.
var ownKeys = []string{"name", "server", "config", fluxKey, plainKey}

// credentials are what a Secret contains, apart from the token.
type credentials struct {
	format    annexv1alpha1.AccessFormat
	name, url string
	caData    []byte
}

func (r *reconciler) credentials(access *annexv1alpha1.WorkspaceAccess) *credentials {
	bundle, _ := r.CABundle()
	path := access.Spec.Workspace.Path
	return &credentials{format: access.Spec.Format, name: path, url: r.External() + "/clusters/" + path, caData: bundle}
}

// argoConfig is the part of the key config that we use.
type argoConfig struct {
	BearerToken     string  `json:"bearerToken"`
	TLSClientConfig argoTLS `json:"tlsClientConfig"`
}

type argoTLS struct {
	Insecure bool   `json:"insecure"`
	CAData   []byte `json:"caData,omitempty"`
}

// content returns what the Secret contains.
func (c *credentials) content(token string) (map[string][]byte, error) {
	switch c.format {
	case annexv1alpha1.AccessFormatArgoCD:
		config, err := json.Marshal(argoConfig{BearerToken: token, TLSClientConfig: argoTLS{CAData: c.caData}})
		if err != nil {
			return nil, fmt.Errorf("encoding the configuration of Argo CD: %w", err)
		}
		return map[string][]byte{"name": []byte(c.name), "server": []byte(c.url), "config": config}, nil
	case annexv1alpha1.AccessFormatFlux:
		kubeconfig, err := c.kubeconfig(token)
		return map[string][]byte{fluxKey: kubeconfig}, err
	case annexv1alpha1.AccessFormatKubeconfig:
		kubeconfig, err := c.kubeconfig(token)
		return map[string][]byte{plainKey: kubeconfig}, err
	}
	return nil, fmt.Errorf("unknown format %q", c.format)
}

func (c *credentials) kubeconfig(token string) ([]byte, error) {
	config := clientcmdapi.NewConfig()
	config.Clusters[c.name] = &clientcmdapi.Cluster{Server: c.url, CertificateAuthorityData: c.caData}
	config.AuthInfos[c.name] = &clientcmdapi.AuthInfo{Token: token}
	config.Contexts[c.name] = &clientcmdapi.Context{Cluster: c.name, AuthInfo: c.name}
	config.CurrentContext = c.name
	data, err := clientcmd.Write(*config)
	if err != nil {
		return nil, fmt.Errorf("encoding the kubeconfig: %w", err)
	}
	return data, nil
}

// apply writes content into secret, which the caller owns, and leaves what others have added.
func (c *credentials) apply(secret *corev1.Secret, content map[string][]byte) {
	if secret.Data == nil {
		secret.Data = map[string][]byte{}
	}
	for _, key := range ownKeys {
		delete(secret.Data, key)
	}
	for key, value := range content {
		secret.Data[key] = slices.Clone(value)
	}
	if c.format == annexv1alpha1.AccessFormatArgoCD {
		secret.Labels[argoLabel] = argoCluster
	} else {
		delete(secret.Labels, argoLabel)
	}
}
