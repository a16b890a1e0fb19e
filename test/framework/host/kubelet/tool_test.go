package kubelet_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/cert"
)

// tool is what runs in the pods of these tests: a server that tells what it
// sees there, or a command.
func tool(args []string) error {
	switch args[0] {
	case "serve":
		return serve(args[1])
	case "exit":
		fmt.Println("about to end")
		if args[1] != "0" {
			return fmt.Errorf("with code %s", args[1])
		}
		return nil
	case "check":
		_, err := os.Stat(args[1])
		return err
	}
	return fmt.Errorf("unknown command %q", args)
}

func serve(address string) error {
	var broken atomic.Bool
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, "{}")
	})
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) {
		if broken.Load() {
			http.Error(w, "broken", http.StatusInternalServerError)
		}
	})
	mux.HandleFunc("/break", func(http.ResponseWriter, *http.Request) { broken.Store(true) })
	answer := func(path string, f func(r *http.Request) (string, error)) {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			text, err := f(r)
			if err != nil {
				http.Error(w, err.Error(), http.StatusTeapot)
				return
			}
			_, _ = io.WriteString(w, text)
		})
	}
	answer("/env", func(r *http.Request) (string, error) { return os.Getenv(r.FormValue("name")), nil })
	answer("/args", func(*http.Request) (string, error) { return fmt.Sprint(os.Args[1:]), nil })
	answer("/id", func(*http.Request) (string, error) { return fmt.Sprintf("%d:%d", os.Getuid(), os.Getgid()), nil })
	answer("/hostname", func(*http.Request) (string, error) { return os.Hostname() })
	answer("/read", func(r *http.Request) (string, error) {
		data, err := os.ReadFile(r.FormValue("path"))
		return string(data), err
	})
	answer("/write", func(r *http.Request) (string, error) {
		return "", os.WriteFile(r.FormValue("path"), []byte(r.FormValue("text")), 0o600)
	})
	answer("/dial", func(r *http.Request) (string, error) {
		conn, err := net.DialTimeout("tcp", r.FormValue("address"), time.Minute)
		if err != nil {
			return "", err
		}
		defer conn.Close()
		return "connected", nil
	})
	answer("/whoami", func(r *http.Request) (string, error) { return whoAmI(r.Context()) })

	certPEM, keyPEM, err := cert.GenerateSelfSignedCertKey("tool", nil, nil)
	if err != nil {
		return err
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return err
	}
	server := http.Server{Addr: address, Handler: mux, TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}}}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, func() {
		fmt.Println("ending in order")
		_ = server.Shutdown(context.Background())
	})
	fmt.Println("serving")
	if err := server.ListenAndServeTLS("", ""); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// whoAmI asks the host with the credentials that the pod was given.
func whoAmI(ctx context.Context) (string, error) {
	config, err := rest.InClusterConfig()
	if err != nil {
		return "", err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return "", err
	}
	review, err := client.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		return "", err
	}
	return review.Status.UserInfo.Username, nil
}
