package lacking

import (
	"net"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// Store says what a store does other than etcd. The zero value is like etcd.
type Store struct {
	// Txn refuses a transaction, or changes it before etcd takes it; nil for neither.
	Txn func(*pb.TxnRequest) error
	// Delay is how much longer a transaction takes that may write.
	Delay time.Duration
	// NoWatch refuses watches. NoProgress ignores that a watch is asked for its progress.
	NoWatch, NoProgress bool
	// Status changes what a member says of itself, or refuses to say it; nil for neither.
	Status func(*pb.StatusResponse) error
}

// Kine returns a store that behaves like kine, which keeps the data of kube-apiserver in an SQL database: it takes the transactions of
// kube-apiserver only, each with one compare and one write.
func Kine() *Store {
	return &Store{
		Txn: func(txn *pb.TxnRequest) error {
			if len(txn.Compare) == 1 && len(txn.Success) == 1 && len(txn.Failure) <= 1 {
				return nil
			}
			return status.Error(codes.InvalidArgument, "etcdserver: unsupported operations in txn request")
		},
		NoProgress: true,
		Status:     func(s *pb.StatusResponse) error { s.Version = ""; return nil },
	}
}

// Start serves s in front of the etcd at endpoint, such as unix:///tmp/sock, and returns its URL. It ends with the test.
func (s *Store) Start(tb testing.TB, endpoint string) string {
	tb.Helper()
	conn, err := grpc.NewClient(endpoint, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		tb.Fatal(err)
	}
	listener, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	server := grpc.NewServer()
	pb.RegisterKVServer(server, &kv{store: s, etcd: pb.NewKVClient(conn)})
	pb.RegisterWatchServer(server, &watch{store: s, etcd: pb.NewWatchClient(conn)})
	pb.RegisterMaintenanceServer(server, &maintenance{store: s, etcd: pb.NewMaintenanceClient(conn)})
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	tb.Cleanup(func() {
		server.Stop()
		<-done
		_ = conn.Close()
	})
	return "http://" + listener.Addr().String()
}
