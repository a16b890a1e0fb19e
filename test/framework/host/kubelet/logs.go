package kubelet

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"k8s.io/client-go/util/cert"
)

// kubeletPort is where kube-apiserver expects the API of a kubelet.
const kubeletPort = 10250

// followInterval is how soon a reader who follows a log gets what is new.
const followInterval = 100 * time.Millisecond

// logServer answers kube-apiserver for `kubectl logs` and `helm test --logs`.
type logServer struct {
	address string
	server  *http.Server
}

// serveLogs starts the server on a free port of the loopback interface.
// kube-apiserver looks at no certificate of a kubelet unless it is told to.
func (k *Kubelet) serveLogs() (*logServer, error) {
	certPEM, keyPEM, err := cert.GenerateSelfSignedCertKey(NodeName, nil, nil)
	if err != nil {
		return nil, fmt.Errorf("making a certificate: %w", err)
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, fmt.Errorf("reading the certificate: %w", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening for kube-apiserver: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", k.handleLog)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "this node answers for logs only, not for "+r.URL.Path, http.StatusNotImplemented)
	})
	s := &logServer{address: listener.Addr().String(), server: &http.Server{
		Handler: mux, TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}},
		BaseContext: func(net.Listener) context.Context { return k.ctx },
	}}
	k.work.Go(func() { _ = s.server.ServeTLS(listener, "", "") }) // it ends when it is closed
	return s, nil
}

// logRequest is what somebody wants to read.
type logRequest struct {
	path      string
	follow    bool
	tail      int // lines; below 0 all
	limit     int64
	container *container
	restart   int32
}

func (k *Kubelet) handleLog(w http.ResponseWriter, r *http.Request) {
	request, err := k.readLogRequest(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	// An error means that nobody reads any more.
	_ = request.copy(r.Context(), &limitedWriter{flusher: w, left: request.limit})
}

func (k *Kubelet) readLogRequest(r *http.Request) (logRequest, error) {
	query := r.URL.Query()
	for _, name := range []string{"sinceSeconds", "sinceTime", "timestamps"} {
		if value := query.Get(name); value != "" && value != "false" {
			return logRequest{}, fmt.Errorf("this node keeps no times of lines, which %s asks for", name)
		}
	}
	p := k.find(r.PathValue("namespace"), r.PathValue("pod"))
	if p == nil {
		return logRequest{}, errors.New("the pod is not on the node")
	}
	c := p.container(r.PathValue("container"))
	if c == nil {
		return logRequest{}, fmt.Errorf("the pod has no container %q", r.PathValue("container"))
	}
	request := logRequest{follow: query.Get("follow") == "true", tail: -1, limit: -1, container: c, restart: c.snapshot().RestartCount}
	if query.Get("previous") == "true" {
		if request.restart == 0 {
			return request, fmt.Errorf("previous terminated container %q in pod %q not found", c.spec.Name, p.first.Name)
		}
		request.restart--
	}
	request.path = c.logFile(request.restart)
	var err error
	if value := query.Get("tailLines"); value != "" {
		if request.tail, err = strconv.Atoi(value); err != nil {
			return request, fmt.Errorf("reading tailLines: %w", err)
		}
	}
	if value := query.Get("limitBytes"); value != "" {
		if request.limit, err = strconv.ParseInt(value, 10, 64); err != nil {
			return request, fmt.Errorf("reading limitBytes: %w", err)
		}
	}
	return request, nil
}

// copy writes the log, and what comes to it while the container runs when that
// is wanted.
func (l logRequest) copy(ctx context.Context, w io.Writer) error {
	log, err := os.Open(l.path)
	if err != nil {
		return nil // nothing was printed yet
	}
	defer log.Close()
	data, err := io.ReadAll(log)
	if err != nil {
		return err
	}
	for {
		if _, err := w.Write(lastLines(data, l.tail)); err != nil {
			return err
		}
		if !l.follow {
			return nil
		}
		// Asked before the log is read again, so that its end is read.
		ended := l.container.running() == nil || l.container.snapshot().RestartCount != l.restart
		if !ended && !pause(ctx, followInterval) {
			return ctx.Err()
		}
		l.tail, l.follow = -1, !ended
		if data, err = io.ReadAll(log); err != nil {
			return err
		}
	}
}

// lastLines returns the end of the text; all of it when count is below 0.
func lastLines(text []byte, count int) []byte {
	if count < 0 {
		return text
	}
	start := len(text)
	end := len(bytes.TrimSuffix(text, []byte("\n")))
	for ; count > 0 && start > 0; count-- {
		start = bytes.LastIndexByte(text[:min(start, end)], '\n') + 1
		end = start - 1
	}
	return text[start:]
}

// limitedWriter sends at once, and fails after a number of bytes unless that is
// below 0.
type limitedWriter struct {
	flusher http.ResponseWriter
	left    int64
}

func (w *limitedWriter) Write(p []byte) (int, error) {
	whole := len(p)
	if w.left >= 0 && int64(len(p)) > w.left {
		p = p[:w.left]
	}
	n, err := w.flusher.Write(p)
	if err != nil {
		return n, err
	}
	if w.left >= 0 {
		w.left -= int64(n)
	}
	if n < whole {
		return n, io.ErrShortWrite
	}
	if flusher, ok := w.flusher.(http.Flusher); ok {
		flusher.Flush()
	}
	return n, nil
}
