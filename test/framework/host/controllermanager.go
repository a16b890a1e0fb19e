package host

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/test/framework/host/process"
)

// controllerManagerUser is the name that the bootstrap roles of kube-apiserver
// are bound to.
const controllerManagerUser = "system:kube-controller-manager"

// controllers are those that run here. What is missing is about machines: the
// life of nodes, cloud routes, attached disks, devices.
func controllers() string {
	return strings.Join([]string{
		"deployment-controller", "replicaset-controller", "statefulset-controller", "daemonset-controller",
		"job-controller", "cronjob-controller", "ttl-after-finished-controller", "disruption-controller",
		"namespace-controller", "garbage-collector-controller", "resourcequota-controller",
		"serviceaccount-controller", "serviceaccount-token-controller", "root-ca-certificate-publisher-controller",
		"clusterrole-aggregation-controller", "validatingadmissionpolicy-status-controller",
		"endpoints-controller", "endpointslice-controller", "endpointslice-mirroring-controller",
		"persistentvolume-binder-controller", "persistentvolume-protection-controller", "persistentvolumeclaim-protection-controller",
	}, ",")
}

func controllerManagerArgs(port int, kubeconfig string, f certificateFiles) []string {
	return []string{
		"--kubeconfig=" + kubeconfig,
		"--authentication-kubeconfig=" + kubeconfig,
		"--authorization-kubeconfig=" + kubeconfig,
		"--bind-address=127.0.0.1",
		"--secure-port=" + strconv.Itoa(port),
		"--tls-cert-file=" + f.serving,
		"--tls-private-key-file=" + f.servingKey,
		"--leader-elect=false",
		"--controllers=" + controllers(),
		// Each controller has the rights of its own bootstrap role, as in a
		// cluster made by kubeadm.
		"--use-service-account-credentials=true",
		"--service-account-private-key-file=" + f.serviceAccountKey,
		"--root-ca-file=" + f.ca,
		"--controller-shutdown-timeout=1s",
	}
}

// runControllerManager starts kube-controller-manager for the API server of
// admin, and waits until its controllers have done their first work.
func runControllerManager(ctx context.Context, binary, dir string, ca *authority, files certificateFiles, admin *rest.Config, args []string) (*process.Process, error) {
	credentials := rest.CopyConfig(admin)
	var err error
	credentials.CertData, credentials.KeyData, err = ca.clientCertificate(controllerManagerUser)
	if err != nil {
		return nil, fmt.Errorf("making the credentials of kube-controller-manager: %w", err)
	}
	kubeconfig := filepath.Join(dir, "kube-controller-manager.kubeconfig")
	if err := writeKubeconfig(kubeconfig, credentials); err != nil {
		return nil, err
	}
	p, err := startControllerManager(ctx, binary, kubeconfig, filepath.Join(dir, "kube-controller-manager.log"), files, admin, args)
	if err != nil {
		return nil, err
	}
	if err := waitServiceAccount(ctx, p, admin); err != nil {
		p.Stop(stopGrace)
		return nil, fmt.Errorf("waiting for the first work of kube-controller-manager: %w; its last lines:\n%s", err, p.Tail())
	}
	return p, nil
}

func startControllerManager(ctx context.Context, binary, kubeconfig, logFile string, files certificateFiles, admin *rest.Config, args []string) (*process.Process, error) {
	for attempt := 1; ; attempt++ {
		port, err := process.FreePort(ctx)
		if err != nil {
			return nil, fmt.Errorf("finding a free port: %w", err)
		}
		p, err := process.Start(binary, append(controllerManagerArgs(port, kubeconfig, files), args...), logFile)
		if err != nil {
			return nil, fmt.Errorf("starting kube-controller-manager: %w", err)
		}
		// It shows the certificate of kube-apiserver, which is for this address.
		own := rest.CopyConfig(admin)
		own.Host = fmt.Sprintf("https://127.0.0.1:%d", port)
		if err = waitPath(ctx, p, own, "/healthz"); err == nil {
			return p, nil
		}
		p.Stop(stopGrace)
		if attempt < portAttempts && p.Printed("address already in use") {
			continue
		}
		return nil, fmt.Errorf("waiting for kube-controller-manager: %w; its last lines:\n%s", err, p.Tail())
	}
}

// waitServiceAccount returns when pods can be made in the namespace default:
// its ServiceAccount is there, and the CA that tokens are used with.
func waitServiceAccount(ctx context.Context, p *process.Process, admin *rest.Config) error {
	client, err := kubernetes.NewForConfig(admin)
	if err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	core := client.CoreV1()
	return wait.PollUntilContextTimeout(ctx, readyInterval, startTimeout, true, func(ctx context.Context) (bool, error) {
		select {
		case <-p.Done():
			return false, process.ErrExited
		default:
		}
		_, err := core.ServiceAccounts(corev1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{})
		if err == nil {
			_, err = core.ConfigMaps(corev1.NamespaceDefault).Get(ctx, "kube-root-ca.crt", metav1.GetOptions{})
		}
		if apierrors.IsNotFound(err) {
			return false, nil
		}
		return err == nil, err
	})
}
