package splice

import (
	"context"
	"io"
	"net"
	"testing"
)

// pair returns both ends of a TCP connection.
func pair(t *testing.T) (client, server net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err = net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = client.Close(), server.Close() })
	return client, server
}

func TestJoin_PassesTheEndOfOneWay(t *testing.T) {
	client, a := pair(t)
	b, server := pair(t)
	done := make(chan struct{})
	go func() { defer close(done); Join(t.Context(), a, b) }()

	if _, err := io.WriteString(client, "question"); err != nil {
		t.Fatal(err)
	}
	CloseWrite(client)
	got, err := io.ReadAll(server) // ends only because the end was passed on
	if err != nil || string(got) != "question" {
		t.Fatalf("the server reads %q, %v, want the question", got, err)
	}
	if _, err := io.WriteString(server, "answer"); err != nil {
		t.Fatal(err)
	}
	CloseWrite(server)
	got, err = io.ReadAll(client)
	if err != nil || string(got) != "answer" {
		t.Errorf("the client reads %q, %v, want the answer", got, err)
	}
	<-done
}

func TestJoin_EndsWithTheContext(t *testing.T) {
	client, a := pair(t)
	b, server := pair(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); Join(ctx, a, b) }()
	cancel()
	<-done
	for name, conn := range map[string]net.Conn{"client": client, "server": server} {
		if _, err := conn.Read(make([]byte, 1)); err == nil {
			t.Errorf("the %s still reads", name)
		}
	}
}
