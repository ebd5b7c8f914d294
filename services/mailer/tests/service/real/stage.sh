# Sets the stage for one mail server, inside mount and process namespaces of its own: this machine with
# the unpacked package over /usr and /etc, and with a spool, state and users that nobody else sees. What
# the server leaves is in the folder, which stands at /srv. Ends everything when standard input says a
# line or closes; when it closes the test is gone, and the folder goes, too.
#   stage.sh PACKAGE FOLDER COMMAND
set -eu
package=$1 folder=$2 command=$3

mount -t overlay overlay -o "ro,lowerdir=$package/usr:/usr" /usr
mount -t overlay overlay -o "ro,lowerdir=$folder/etc:$package/etc:/etc" /etc
mount --bind "$folder" /srv
mount --bind "$folder/spool" /var/spool
mount -t tmpfs -o mode=755 tmpfs /var/lib
mount -t tmpfs -o mode=755 tmpfs /run
chown mailbox /srv/mails

setsid sh -euc "$command" &
server=$!
read -r _ && keep=yes || keep=no
kill -TERM "$server" 2>/dev/null || true
wait "$server" || true
kill -s KILL -- -1 2>/dev/null || true # its children, of which some go on: all that is left in here
[ "$keep" = yes ] || rm -rf "$folder"
