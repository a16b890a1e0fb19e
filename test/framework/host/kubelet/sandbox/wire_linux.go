package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// request is one line of JSON on a connection of its own to the node.
type request struct {
	Op      string     `json:"op"`
	Pod     string     `json:"pod,omitempty"`
	Network string     `json:"network,omitempty"`
	Address string     `json:"address,omitempty"`
	Routes  []string   `json:"routes,omitempty"`
	Spec    *Container `json:"spec,omitempty"`

	// These go to the supervisor of a container, on the connection of "run".
	ID      int           `json:"id,omitempty"`
	Signal  int           `json:"signal,omitempty"`
	Args    []string      `json:"args,omitempty"`
	Timeout time.Duration `json:"timeout,omitempty"`
}

const (
	opAddPod    = "addPod"
	opRemovePod = "removePod"
	opDial      = "dial"
	opListen    = "listen"
	opRoute     = "route"
	opRun       = "run"
	opSignal    = "signal"
	opExec      = "exec"
)

// reply answers a request. A file may travel with it.
type reply struct {
	ID     int    `json:"id,omitempty"`
	Error  string `json:"error,omitempty"`
	Exit   *Exit  `json:"exit,omitempty"`
	Output string `json:"output,omitempty"`
}

// maxReply bounds a reply that comes with a file: an error text and a little.
const maxReply = 8 << 10

// send writes a reply and, unless nil, a file.
func send(conn *net.UnixConn, r reply, file *os.File) error {
	data, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encoding a reply: %w", err)
	}
	var rights []byte
	if file != nil {
		rights = unix.UnixRights(int(file.Fd()))
	}
	if _, _, err := conn.WriteMsgUnix(append(data, '\n'), rights, nil); err != nil {
		return fmt.Errorf("sending a reply: %w", err)
	}
	return nil
}

// receive reads a reply and the file that came with it, if any.
func receive(conn *net.UnixConn) (*os.File, error) {
	data, rights := make([]byte, maxReply), make([]byte, unix.CmsgSpace(4))
	n, rightsLen, _, _, err := conn.ReadMsgUnix(data, rights)
	if err != nil {
		return nil, fmt.Errorf("reading the node's reply: %w", err)
	}
	var file *os.File
	messages, err := unix.ParseSocketControlMessage(rights[:rightsLen])
	if err != nil {
		return nil, fmt.Errorf("reading what came with the node's reply: %w", err)
	}
	for _, message := range messages {
		descriptors, err := unix.ParseUnixRights(&message)
		if err != nil {
			return nil, fmt.Errorf("reading the node's file: %w", err)
		}
		for _, descriptor := range descriptors {
			unix.CloseOnExec(descriptor)
			file = os.NewFile(uintptr(descriptor), "from the node")
		}
	}
	var r reply
	if err := json.Unmarshal(data[:n], &r); err != nil {
		return file, fmt.Errorf("decoding the node's reply: %w", err)
	}
	if r.Error != "" {
		return file, errors.New(r.Error)
	}
	return file, nil
}
