package host

import (
	"fmt"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// contextName is the name of cluster, user and context in the kubeconfig.
const contextName = "host"

// adminConfig returns credentials of system:masters for the server that listens
// on the given port of the loopback interface.
func (a *authority) adminConfig(port int) (*rest.Config, error) {
	certPEM, keyPEM, err := a.clientCertificate("host-admin", "system:masters")
	if err != nil {
		return nil, err
	}
	ca, err := a.pem()
	if err != nil {
		return nil, err
	}
	return &rest.Config{
		Host: fmt.Sprintf("https://127.0.0.1:%d", port),
		// Tests and benchmarks want the server's own pace.
		QPS:             -1,
		TLSClientConfig: rest.TLSClientConfig{CAData: ca, CertData: certPEM, KeyData: keyPEM},
	}, nil
}

func writeKubeconfig(path string, c *rest.Config) error {
	kubeconfig := api.Config{
		Clusters: map[string]*api.Cluster{contextName: {
			Server: c.Host, CertificateAuthorityData: c.CAData,
		}},
		AuthInfos: map[string]*api.AuthInfo{contextName: {
			ClientCertificateData: c.CertData, ClientKeyData: c.KeyData,
		}},
		Contexts: map[string]*api.Context{contextName: {
			Cluster: contextName, AuthInfo: contextName,
		}},
		CurrentContext: contextName,
	}
	if err := clientcmd.WriteToFile(kubeconfig, path); err != nil {
		return fmt.Errorf("writing the kubeconfig: %w", err)
	}
	return nil
}
