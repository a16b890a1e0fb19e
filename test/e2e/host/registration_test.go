package host

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	certutil "k8s.io/client-go/util/cert"

	"github.com/annex-dev/annex/test/framework/annex"
	hostframework "github.com/annex-dev/annex/test/framework/host"
)

// deletionLimit is how long the host may take to delete a namespace; seconds, on a busy machine.
const deletionLimit = "120s"

// servingFiles are a certificate, by a CA of its own, and its key.
type servingFiles struct{ cert, key string }

// put replaces the files by those of a new CA, and returns it.
func (f servingFiles) put(t *testing.T) (ca []byte) {
	t.Helper()
	cert, key, err := certutil.GenerateSelfSignedCertKey("localhost", []net.IP{net.IPv4(127, 0, 0, 1)}, []string{serviceHost})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(f.key, key, 0o600), os.WriteFile(f.cert, cert, 0o600)); err != nil {
		t.Fatal(err)
	}
	return cert
}

// From the one APIService that a person makes to the last that the host removes.
func TestRegistration(t *testing.T) {
	etcd := annex.StartEtcd(t)
	own := &cluster{dir: t.TempDir(), host: hostframework.Start(t, hostframework.WithControllerManager())}
	kubeconfig, err := own.prepare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	files := servingFiles{cert: filepath.Join(own.dir, "tls.crt"), key: filepath.Join(own.dir, "tls.key")}
	ca := files.put(t)
	own.annex = annex.Start(t, "--etcd-servers", etcd.URL(), "--leader-elect=false", "--tls-cert-file", files.cert, "--tls-private-key-file", files.key,
		"--authentication-kubeconfig", kubeconfig, "--authorization-kubeconfig", kubeconfig)
	services, err := own.apiServices()
	if err != nil {
		t.Fatal(err)
	}
	port, err := own.makeService(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	admin := own.host.Admin(t)
	anchor, topology := groupVersions[0], groupVersions[2]
	available := func(t *testing.T, caBundle []byte) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		for _, gv := range groupVersions {
			if err := awaitAvailable(ctx, services, gv, caBundle); err != nil {
				t.Fatal(err)
			}
		}
	}
	deleteNamespace := func(t *testing.T, name string) {
		t.Helper()
		for _, args := range [][]string{
			{"create", "namespace", name},
			{"create", "configmap", "content", "-n", name},
			{"delete", "namespace", name, "--timeout", deletionLimit},
		} {
			before := time.Now()
			if out, err := admin.Command("kubectl", "", args...).CombinedOutput(); err != nil {
				t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
			}
			t.Logf("kubectl %s: %s", strings.Join(args, " "), time.Since(before).Round(time.Millisecond))
		}
	}

	foreign, err := services.Create(t.Context(), newAPIService(topology, "somebody-elses", 443), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := services.Create(t.Context(), newAPIService(anchor, serviceName, port), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Run("a foreign APIService is left alone and reported", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		for _, gv := range groupVersions {
			if gv == topology {
				continue
			}
			if err := awaitAvailable(ctx, services, gv, ca); err != nil {
				t.Fatal(err)
			}
		}
		annex.Eventually(t, func(context.Context) error {
			if !own.annex.Printed("of the host has another owner: it leads to Service " + installedIn + "/somebody-elses") {
				return errors.New("the log does not name it")
			}
			return nil
		})
		got, err := services.Get(t.Context(), foreign.Name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got.UID != foreign.UID || !apiequality.Semantic.DeepEqual(got.Spec, foreign.Spec) || len(got.Labels)+len(got.OwnerReferences) > 0 {
			t.Errorf("it is %+v now, was %+v", got, foreign)
		}
		if err := services.Delete(t.Context(), foreign.Name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		available(t, ca)
	})

	t.Run("newer versions come first", func(t *testing.T) {
		// The host may call an APIService available before it serves its group.
		annex.Eventually(t, func(context.Context) error {
			out, err := admin.Command("kubectl", "", "get", "--raw", "/apis/apis.kcp.io").CombinedOutput()
			if err == nil && !strings.Contains(string(out), `"preferredVersion":{"groupVersion":"apis.kcp.io/v1alpha2"`) {
				err = errors.New("v1alpha2 is not preferred")
			}
			if err != nil {
				return fmt.Errorf("%w\n%s", err, out)
			}
			return nil
		})
	})

	t.Run("a new certificate by another CA", func(t *testing.T) {
		ca = files.put(t)
		available(t, ca)
		annex.Eventually(t, func(context.Context) error {
			if out, err := admin.Command("kubectl", "", "get", "workspaces").CombinedOutput(); err != nil {
				return fmt.Errorf("%w: %s", err, out)
			}
			return nil
		})
	})

	t.Run("a namespace is deleted while Annex is well", func(t *testing.T) { deleteNamespace(t, "well") })

	t.Run("a namespace is deleted while its etcd is stopped", func(t *testing.T) {
		etcd.Stop()
		defer etcd.Start()
		deleteNamespace(t, "sick")
		before := time.Now()
		if out, err := admin.Command("kubectl", "", "api-resources").CombinedOutput(); err != nil || !strings.Contains(string(out), "workspacetypes") {
			t.Errorf("kubectl api-resources: %v\n%s", err, out)
		}
		t.Logf("kubectl api-resources: %s", time.Since(before).Round(time.Millisecond))
	})

	t.Run("a namespace is deleted after Annex was", func(t *testing.T) {
		if err := services.Delete(t.Context(), apiServiceOf(anchor), metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		annex.Eventually(t, func(ctx context.Context) error {
			for _, gv := range groupVersions {
				if _, err := services.Get(ctx, apiServiceOf(gv), metav1.GetOptions{}); !apierrors.IsNotFound(err) {
					return fmt.Errorf("the APIService of %s is still there, or %w", gv, err)
				}
			}
			return nil
		})
		own.annex.Kill()
		deleteNamespace(t, "gone")
	})
}

// Another Annex on the same host, for whose Service it has no certificate, changes nothing there.
func TestRegistration_LeavesOtherInstallationsAlone(t *testing.T) {
	kubeconfig, err := (&cluster{dir: t.TempDir(), host: installed.host}).credentials()
	if err != nil {
		t.Fatal(err)
	}
	services, err := installed.apiServices()
	if err != nil {
		t.Fatal(err)
	}
	before, err := services.Get(t.Context(), apiServiceOf(groupVersions[0]), metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	server := annex.Start(t, "--authentication-kubeconfig", kubeconfig, "--authorization-kubeconfig", kubeconfig)
	annex.Eventually(t, func(context.Context) error {
		if !server.Printed("no certificate (--tls-san)") {
			return errors.New("the log does not say so")
		}
		return nil
	})
	after, err := services.Get(t.Context(), before.Name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if string(after.Spec.CABundle) != string(before.Spec.CABundle) {
		t.Error("it wrote its own CA on the APIService")
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(after.Spec.CABundle) {
		t.Error("the APIService has no CA")
	}
}
