/*
 * event_kafka: publishes to Apache Kafka. Made from ffi/src: do not edit.
 *
 * A producer is created from librdkafka's properties or from an OpenSIPS socket, gives topics, and is
 * published to. What became of each message is told by a report, exactly one for every message that
 * was accepted. event_kafka(3) has an example.
 *
 * Every function returns EVENT_KAFKA_OK (0) or another code (but for event_kafka_version()). Where
 * there is a text parameter, a failure is told there, too, in words; it may be NULL, and is left
 * alone on success. text_size counts the bytes of that buffer: 256 are enough for most, and a
 * longer text is cut. Results are written on success only, unless said otherwise. Besides the errors
 * that are listed with it, any function may return EVENT_KAFKA_ERR_FORKED, EVENT_KAFKA_ERR_INTERNAL
 * and, at its first use, EVENT_KAFKA_ERR_SYSTEM.
 *
 * Nothing here calls back, but event_kafka_area_publish_in_place() before it returns, and no handle
 * is an address: a function that is given one that was freed returns EVENT_KAFKA_ERR_BAD_HANDLE.
 *
 * Fork first: in a child of a process that has called one of these functions before, they all return
 * EVENT_KAFKA_ERR_FORKED at once, and the parent goes on undisturbed. Not so event_kafka_version() and
 * the functions of an area, event_kafka_area_...(): with them, processes that a host forks publish
 * through one of their own, the worker, that has the producers. Make the area, fork, attach the worker
 * in one child.
 */


#ifndef EVENT_KAFKA_H
#define EVENT_KAFKA_H

#include <stddef.h>
#include <stdint.h>

/* The version of this header; event_kafka_version() is that of the library. */
#define EVENT_KAFKA_VERSION_MAJOR 0
#define EVENT_KAFKA_VERSION_MINOR 1
#define EVENT_KAFKA_VERSION_PATCH 0
#define EVENT_KAFKA_VERSION \
  (EVENT_KAFKA_VERSION_MAJOR << 16 | EVENT_KAFKA_VERSION_MINOR << 8 | EVENT_KAFKA_VERSION_PATCH)

/* What an event_kafka_message_t begins with: nothing in it, any partition, the time of publishing. */
#define EVENT_KAFKA_MESSAGE_INIT \
  { NULL, 0, NULL, 0, NULL, 0, EVENT_KAFKA_TIMESTAMP_NOW, 0, EVENT_KAFKA_PARTITION_ANY }


/**
 * All is well.
 */
#define EVENT_KAFKA_OK 0

/**
 * The queue has no room; the same message may be accepted later (_QUEUE_FULL).
 */
#define EVENT_KAFKA_ERR_QUEUE_FULL -184

/**
 * The time is over (_TIMED_OUT).
 */
#define EVENT_KAFKA_ERR_TIMED_OUT -185

/**
 * An argument, a property or a socket is wrong; the text says which and why (_INVALID_ARG).
 */
#define EVENT_KAFKA_ERR_INVALID_ARG -186

/**
 * Another process does that already (_STATE).
 */
#define EVENT_KAFKA_ERR_STATE -172

/**
 * The topic has no such partition (_UNKNOWN_PARTITION).
 */
#define EVENT_KAFKA_ERR_UNKNOWN_PARTITION -190

/**
 * In reports: not delivered within message.timeout.ms (_MSG_TIMED_OUT).
 */
#define EVENT_KAFKA_ERR_MSG_TIMED_OUT -192

/**
 * The operating system refused a thread, a descriptor or memory (_CRIT_SYS_RESOURCE).
 */
#define EVENT_KAFKA_ERR_SYSTEM -194

/**
 * No broker can be reached, or a connection broke (_TRANSPORT).
 */
#define EVENT_KAFKA_ERR_TRANSPORT -195

/**
 * The producer was closed, or the socket unsubscribed (_DESTROY).
 */
#define EVENT_KAFKA_ERR_CLOSED -197

/**
 * The producer has failed for good: event_kafka_fatal_error() says why (_FATAL).
 */
#define EVENT_KAFKA_ERR_FATAL -150

/**
 * In reports: purged while on its way (_PURGE_INFLIGHT).
 */
#define EVENT_KAFKA_ERR_PURGE_IN_FLIGHT -151

/**
 * In reports: purged before it was sent (_PURGE_QUEUE).
 */
#define EVENT_KAFKA_ERR_PURGE_QUEUE -152

/**
 * The message is larger than message.max.bytes allows (Kafka's MESSAGE_TOO_LARGE).
 */
#define EVENT_KAFKA_ERR_MSG_SIZE_TOO_LARGE 10

/**
 * The handle is none, or was freed.
 */
#define EVENT_KAFKA_ERR_BAD_HANDLE -1001

/**
 * This process was forked from one that used the library before.
 */
#define EVENT_KAFKA_ERR_FORKED -1002

/**
 * A defect of the library: please report it. The producer is best closed.
 */
#define EVENT_KAFKA_ERR_INTERNAL -1003

/**
 * For event_kafka_purge(): messages that wait to be sent, or to be sent again.
 */
#define EVENT_KAFKA_PURGE_QUEUED 1

/**
 * For event_kafka_purge(): messages that were sent and not answered yet. They may be in the log.
 */
#define EVENT_KAFKA_PURGE_IN_FLIGHT 2

/**
 * For messages: the partitioner chooses.
 */
#define EVENT_KAFKA_PARTITION_ANY -1

/**
 * For messages: the time of publishing.
 */
#define EVENT_KAFKA_TIMESTAMP_NOW 0

/**
 * In reports: it was delivered.
 */
#define EVENT_KAFKA_PLACE_NONE 0

/**
 * In reports: nothing was known of its topic yet.
 */
#define EVENT_KAFKA_PLACE_NO_METADATA 1

/**
 * In reports: its partition had no leader, or none that was known.
 */
#define EVENT_KAFKA_PLACE_NO_LEADER 2

/**
 * In reports: it waited for its turn, for a retry, or for a connection.
 */
#define EVENT_KAFKA_PLACE_QUEUED 3

/**
 * In reports: it was sent and the answer had not come.
 */
#define EVENT_KAFKA_PLACE_IN_FLIGHT 4

/**
 * Something is lost or out of use; LOG_ERR of syslog.
 */
#define EVENT_KAFKA_LOG_ERROR 3

/**
 * Something needs to be looked at; LOG_WARNING of syslog.
 */
#define EVENT_KAFKA_LOG_WARNING 4

/**
 * Something changed; LOG_INFO of syslog.
 */
#define EVENT_KAFKA_LOG_INFO 6

/**
 * Everything; LOG_DEBUG of syslog.
 */
#define EVENT_KAFKA_LOG_DEBUG 7

/**
 * The worker has not looked at the socket so far.
 */
#define EVENT_KAFKA_CONTACT_IDLE 1

/**
 * No connection was made so far, and none has failed.
 */
#define EVENT_KAFKA_CONTACT_CONNECTING 2

/**
 * A broker of the cluster can be used. So it stays where a connection ends that nobody needs.
 */
#define EVENT_KAFKA_CONTACT_UP 3

/**
 * No broker can be used; the last error of the socket says why, or what became of a message then.
 */
#define EVENT_KAFKA_CONTACT_DOWN 4

/**
 * The socket is of no use: its producer has failed for good, or the worker could not start one.
 */
#define EVENT_KAFKA_CONTACT_FAILED 5

/**
 * The socket takes messages.
 */
#define EVENT_KAFKA_SOCKET_OPEN 1

/**
 * The socket takes none until some of those that it holds are delivered or failed: its budget is
 * used up. It takes some again once no more than 90 % of it are used.
 */
#define EVENT_KAFKA_SOCKET_FULL 2

/**
 * The socket was unsubscribed, and takes none. What it has taken is still delivered.
 */
#define EVENT_KAFKA_SOCKET_CLOSING 3

/**
 * For the route of a message: it gets no report.
 */
#define EVENT_KAFKA_ROUTE_NONE UINT32_MAX

/**
 * In the route of a message: it gets its report although "delivery.report.only.error" of its socket
 * has those of delivered messages left out.
 */
#define EVENT_KAFKA_ROUTE_ALWAYS 2147483648

/**
 * How many reports come at most at a time.
 */
#define EVENT_KAFKA_MOST_REPORTS 16

/**
 * The parameter has no value: JSON's null.
 */
#define EVENT_KAFKA_PARAM_NULL 0

/**
 * The value is a number.
 */
#define EVENT_KAFKA_PARAM_INTEGER 1

/**
 * The value is a text.
 */
#define EVENT_KAFKA_PARAM_TEXT 2

/**
 * For event_kafka_worker_attach(): reports have the key and the value of their message, whose memory
 * is held until then.
 */
#define EVENT_KAFKA_WORKER_REPORTS_RECORDS 1

/**
 * For event_kafka_worker_attach(): reports are not for the process that published, but for whichever
 * the host hands them to (event_kafka_worker_next_batch()).
 */
#define EVENT_KAFKA_WORKER_REPORTS_TO_ANYBODY 2

/**
 * A property as librdkafka names it, of the producer or (perhaps with "topic." before it) of its
 * topics.
 */
typedef struct event_kafka_property_t {
  /**
   * Ends with NUL.
   */
  const char *name;
  /**
   * Ends with NUL.
   */
  const char *value;
} event_kafka_property_t;

/**
 * A producer. A number that names it, free to be copied; a zeroed one names none.
 */
typedef struct event_kafka_producer_t {
  /**
   * Not to be looked at.
   */
  uint64_t id;
} event_kafka_producer_t;

/**
 * A topic of a producer, as long as the producer is not freed. A number that names it, free to be
 * copied; a zeroed one names none.
 */
typedef struct event_kafka_topic_t {
  /**
   * Not to be looked at.
   */
  uint64_t id;
} event_kafka_topic_t;

/**
 * A header of a message.
 */
typedef struct event_kafka_header_t {
  /**
   * Its name, UTF-8, without a NUL at the end.
   */
  const char *name;
  /**
   * Bytes of the name.
   */
  size_t name_size;
  /**
   * Its value; NULL is a null value, which differs from an empty one.
   */
  const void *value;
  /**
   * Bytes of the value.
   */
  size_t value_size;
} event_kafka_header_t;

/**
 * A message. Begin with EVENT_KAFKA_MESSAGE_INIT: a zeroed one would name partition 0.
 */
typedef struct event_kafka_message_t {
  /**
   * The payload; NULL is a tombstone, which deletes its key from a compacted topic and differs
   * from an empty payload.
   */
  const void *value;
  /**
   * Bytes of the payload.
   */
  size_t value_size;
  /**
   * The key, which decides the partition where none is given; NULL is none.
   */
  const void *key;
  /**
   * Bytes of the key.
   */
  size_t key_size;
  /**
   * Headers, in this order; a name may come more than once.
   */
  const struct event_kafka_header_t *headers;
  /**
   * How many headers.
   */
  size_t header_count;
  /**
   * When it happened, in milliseconds since 1970; EVENT_KAFKA_TIMESTAMP_NOW is now.
   */
  int64_t timestamp;
  /**
   * Handed back with the report.
   */
  uint64_t opaque;
  /**
   * The partition, from 0; EVENT_KAFKA_PARTITION_ANY lets the partitioner choose.
   */
  int32_t partition;
} event_kafka_message_t;

/**
 * What became of one message.
 */
typedef struct event_kafka_report_t {
  /**
   * What was published with it.
   */
  uint64_t opaque;
  /**
   * Where it was published to.
   */
  struct event_kafka_topic_t topic;
  /**
   * Its offset; -1 if it was not delivered, or with acks=0, when nobody says.
   */
  int64_t offset;
  /**
   * The time that the broker gave it, in milliseconds since 1970, where the topic is set to
   * LogAppendTime; otherwise -1, and it has its own.
   */
  int64_t log_append_time;
  /**
   * Its partition; -1 if none had been chosen yet.
   */
  int32_t partition;
  /**
   * EVENT_KAFKA_OK: it is in the log. Otherwise the code of what ended it: Kafka's if positive,
   * librdkafka's if negative.
   */
  int32_t error;
  /**
   * How often a message that failed had been sent.
   */
  uint32_t attempts;
  /**
   * Where a message that failed was then: EVENT_KAFKA_PLACE_...
   */
  int32_t place;
  /**
   * 1: a message that failed may be in the log all the same, as it was sent and not refused.
   */
  int32_t maybe_persisted;
  /**
   * The name of the code, such as "_MSG_TIMED_OUT"; empty if it was delivered.
   */
  char error_name[48];
  /**
   * The failure in words, with what went wrong last; empty if it was delivered.
   */
  char error_text[256];
} event_kafka_report_t;

/**
 * Messages since the start of a producer: accepted = delivered + failed + held, at every moment.
 */
typedef struct event_kafka_counters_t {
  /**
   * Accepted by event_kafka_publish().
   */
  uint64_t accepted;
  /**
   * Delivered.
   */
  uint64_t delivered;
  /**
   * Failed.
   */
  uint64_t failed;
  /**
   * Accepted and without an outcome so far.
   */
  uint64_t held;
  /**
   * Refused by event_kafka_publish(), for whatever reason but a wrong argument.
   */
  uint64_t refused;
  /**
   * Reports that were taken.
   */
  uint64_t reported;
} event_kafka_counters_t;

/**
 * A line of the log.
 */
typedef struct event_kafka_log_line_t {
  /**
   * EVENT_KAFKA_LOG_...
   */
  int32_t level;
  /**
   * The line, without an end of line.
   */
  char text[1020];
} event_kafka_log_line_t;

/**
 * How large an area is; 0 anywhere is the default. It takes memory as it is used.
 */
typedef struct event_kafka_area_sizes_t {
  /**
   * How many processes can publish and take reports at a time, up to 4095. 64.
   */
  size_t lanes;
  /**
   * Bytes of the lane of each, rounded up to a power of two: 4 KiB to 1 GiB. A message takes at
   * most half of it. 1 MiB.
   */
  size_t lane_bytes;
  /**
   * How many sockets there can be at a time, up to 65536. 256.
   */
  size_t sockets;
  /**
   * Bytes of the longest socket, up to 1 MiB. 2048.
   */
  size_t socket_bytes;
  /**
   * How many batches of up to 16 reports can wait for their readers, 2 to 65536. 256.
   */
  size_t report_slots;
  /**
   * Bytes of such a batch, 1 KiB to 16 MiB. 64 KiB.
   */
  size_t report_bytes;
} event_kafka_area_sizes_t;

/**
 * Memory that a process and those that it forks from then on share. A number that names it in all of
 * them, free to be copied; a zeroed one names none.
 */
typedef struct event_kafka_area_t {
  /**
   * Not to be looked at.
   */
  uint64_t id;
} event_kafka_area_t;

/**
 * A socket that is subscribed in an area. Free to be copied and to be handed to other processes of
 * the area; a zeroed one names none, and none is named like an earlier one.
 */
typedef struct event_kafka_socket_t {
  /**
   * Its place in the table.
   */
  uint32_t slot;
  /**
   * Which one of those that were there.
   */
  uint32_t generation;
} event_kafka_socket_t;

/**
 * Messages of a socket: accepted = delivered + failed + held, at every moment.
 */
typedef struct event_kafka_socket_status_t {
  /**
   * EVENT_KAFKA_SOCKET_...
   */
  int32_t state;
  /**
   * EVENT_KAFKA_CONTACT_..., as of a tenth of a second ago at most.
   */
  int32_t contact;
  /**
   * Accepted by the worker.
   */
  uint64_t accepted;
  /**
   * Delivered, and reported where somebody asked for it.
   */
  uint64_t delivered;
  /**
   * Failed, and reported where somebody asked for it.
   */
  uint64_t failed;
  /**
   * Accepted, and neither delivered nor failed so far.
   */
  uint64_t held;
  /**
   * Bytes of those that are held, as of a tenth of a second ago at most.
   */
  uint64_t held_bytes;
  /**
   * Refused, by event_kafka_area_publish() or, with a report, by the worker.
   */
  uint64_t refused;
  /**
   * When something went wrong last, in milliseconds since 1970; 0: nothing has. With many messages
   * that fail, one of those of the last tenth of a second.
   */
  uint64_t error_at_ms;
  /**
   * The code of that.
   */
  int32_t error;
  /**
   * It in words.
   */
  char error_text[256];
} event_kafka_socket_status_t;

/**
 * An area, since it was made, with all sockets that were ever there: accepted = delivered + failed +
 * held, at every moment. What a worker that was killed had accepted has failed with the next one.
 */
typedef struct event_kafka_area_overview_t {
  /**
   * Accepted by the worker.
   */
  uint64_t accepted;
  /**
   * Delivered.
   */
  uint64_t delivered;
  /**
   * Failed.
   */
  uint64_t failed;
  /**
   * Accepted, and neither delivered nor failed so far.
   */
  uint64_t held;
  /**
   * Bytes of those.
   */
  uint64_t held_bytes;
  /**
   * Refused, by whomever.
   */
  uint64_t refused;
  /**
   * Reports that were sent.
   */
  uint64_t reported;
  /**
   * Bytes in lanes that the worker has not taken yet, with some for the frame of each message.
   */
  uint64_t lane_bytes;
  /**
   * Lanes that processes have.
   */
  uint32_t lanes;
  /**
   * Sockets that are there.
   */
  uint32_t sockets;
  /**
   * 1: there is a worker, and its process lives.
   */
  int32_t has_worker;
} event_kafka_area_overview_t;

/**
 * In what a socket has changed since the last time that anybody took its changes.
 */
typedef struct event_kafka_socket_change_t {
  /**
   * Which one.
   */
  struct event_kafka_socket_t socket;
  /**
   * EVENT_KAFKA_CONTACT_UP, EVENT_KAFKA_CONTACT_DOWN or EVENT_KAFKA_CONTACT_FAILED; 0: as before.
   */
  int32_t contact;
  /**
   * EVENT_KAFKA_SOCKET_OPEN or EVENT_KAFKA_SOCKET_FULL; 0: as before.
   */
  int32_t state;
} event_kafka_socket_change_t;

/**
 * Writes the value of a message into room for so many bytes, and returns how many it took; more than
 * room_size: the message is given up.
 */
typedef size_t (*event_kafka_write_t)(void *context, void *room, size_t room_size);

/**
 * What became of one message that was published into a lane.
 */
typedef struct event_kafka_lane_report_t {
  /**
   * What was published with it.
   */
  uint64_t opaque;
  /**
   * Where it was published to.
   */
  struct event_kafka_socket_t socket;
  /**
   * What was published with it.
   */
  uint32_t route;
  /**
   * EVENT_KAFKA_OK: it is in the log. Otherwise the code of what ended it: Kafka's if positive,
   * librdkafka's if negative. EVENT_KAFKA_ERR_QUEUE_FULL: the worker had no room for it.
   */
  int32_t error;
  /**
   * Its offset; -1 if it was not delivered, or with acks=0, when nobody says.
   */
  int64_t offset;
  /**
   * The time that the broker gave it, in milliseconds since 1970, where the topic is set to
   * LogAppendTime; otherwise -1, and it has its own.
   */
  int64_t log_append_time;
  /**
   * Microseconds from when the worker took it to when it had this report.
   */
  uint64_t latency_us;
  /**
   * Its partition; -1 if none was given or chosen yet.
   */
  int32_t partition;
  /**
   * How often a message that failed had been sent.
   */
  uint32_t attempts;
  /**
   * Where a message that failed was then: EVENT_KAFKA_PLACE_...
   */
  int32_t place;
  /**
   * 1: a message that failed may be in the log all the same, as it was sent and not refused.
   */
  int32_t maybe_persisted;
  /**
   * Its key, if the worker reports records; NULL is none. It stays until this thread takes reports
   * again, and is cut where it is longer than an area's report_bytes.
   */
  const void *key;
  /**
   * Bytes of the key that are there.
   */
  size_t key_size;
  /**
   * Its value, as its key is.
   */
  const void *value;
  /**
   * Bytes of the value that are there.
   */
  size_t value_size;
  /**
   * Its topic; empty if its socket could not be used.
   */
  char topic[250];
  /**
   * The name of the code, such as "_MSG_TIMED_OUT"; empty if it was delivered.
   */
  char error_name[48];
  /**
   * The failure in words, with what went wrong last; empty if it was delivered.
   */
  char error_text[256];
} event_kafka_lane_report_t;

/**
 * A parameter of an event.
 */
typedef struct event_kafka_param_t {
  /**
   * Its name, if those of this event have names; NULL is an empty one.
   */
  const char *name;
  /**
   * Bytes of the name.
   */
  size_t name_size;
  /**
   * EVENT_KAFKA_PARAM_...
   */
  int32_t kind;
  /**
   * Its value, if it is a number.
   */
  int32_t integer;
  /**
   * Its value, if it is a text.
   */
  const char *text;
  /**
   * Bytes of the text.
   */
  size_t text_size;
} event_kafka_param_t;

/**
 * An event. Nothing in it ends with NUL.
 */
typedef struct event_kafka_event_t {
  /**
   * Its name.
   */
  const char *name;
  /**
   * Bytes of the name.
   */
  size_t name_size;
  /**
   * Its parameters, in this order.
   */
  const struct event_kafka_param_t *params;
  /**
   * How many parameters.
   */
  size_t param_count;
  /**
   * Whether parameters have names: 1 makes a JSON object of them, 0 an array.
   */
  int32_t named;
  /**
   * The Call-ID of the message that is being processed, for "key=callid"; NULL is none.
   */
  const char *call_id;
  /**
   * Bytes of the Call-ID.
   */
  size_t call_id_size;
  /**
   * Handed back with the report.
   */
  uint64_t opaque;
} event_kafka_event_t;

/**
 * The worker of an area, in the process that is it. A number that names it, free to be copied; a
 * zeroed one names none.
 */
typedef struct event_kafka_worker_t {
  /**
   * Not to be looked at.
   */
  uint64_t id;
} event_kafka_worker_t;

/**
 * What a worker has done since it was attached. Messages: accepted = delivered + failed + held, at
 * every moment.
 */
typedef struct event_kafka_worker_counters_t {
  /**
   * Messages that were taken from lanes: accepted or refused.
   */
  uint64_t taken;
  /**
   * Accepted for delivery.
   */
  uint64_t accepted;
  /**
   * Delivered.
   */
  uint64_t delivered;
  /**
   * Failed.
   */
  uint64_t failed;
  /**
   * Accepted and without an outcome, or with one that waits for its reader.
   */
  uint64_t held;
  /**
   * Refused, each with a report.
   */
  uint64_t refused;
  /**
   * Reports that were sent to the processes that asked.
   */
  uint64_t reported;
  /**
   * Reports that nobody wants any more, as the process that asked has ended.
   */
  uint64_t orphaned;
  /**
   * Reports that wait for room, as their readers lag behind.
   */
  uint64_t parked;
  /**
   * Records of lanes that were no messages.
   */
  uint64_t malformed;
  /**
   * Lanes that something overwrote; their processes have to end.
   */
  uint64_t broken;
  /**
   * Lanes that were given back as their processes ended.
   */
  uint64_t reclaimed;
  /**
   * How often the worker slept: it is woken by nothing but work.
   */
  uint64_t naps;
} event_kafka_worker_counters_t;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The version of the library that is in use, to compare with EVENT_KAFKA_VERSION, the version of
 * this header: major << 16 | minor << 8 | patch. The interface of versions 0.x may change with
 * every minor version.
 *
 * Any thread, at any time.
 */
uint32_t event_kafka_version(void);

/**
 * Starts a producer from properties. "bootstrap.servers" is the one that is needed. That no broker
 * is there is no error: messages wait for it.
 *
 * It has one thread of its own (more while names are looked up), in which all signals are blocked.
 * Close it and free it when it is no longer needed.
 *
 * Any thread, at any time; but not before a fork() whose child uses the library.
 *
 * Errors: EVENT_KAFKA_ERR_INVALID_ARG (a property; the text says which and why),
 * EVENT_KAFKA_ERR_SYSTEM.
 */
int32_t event_kafka_create(const struct event_kafka_property_t *properties,
                           size_t property_count,
                           struct event_kafka_producer_t *producer,
                           char *text,
                           size_t text_size);

/**
 * Starts a producer from a socket, as OpenSIPS writes them:
 * "[kafka:]brokers/topic[?g.property=value&t.property=value]", and gives its topic, too.
 * All else is as with event_kafka_create(). What "key=", "payload=", "members=" and
 * "header.NAME=" say is for OpenSIPS, and warned of: every message is given its key, its value and
 * its headers when it is published.
 *
 * Any thread, at any time; but not before a fork() whose child uses the library.
 *
 * Errors: EVENT_KAFKA_ERR_INVALID_ARG (the text says where in the socket and why),
 * EVENT_KAFKA_ERR_SYSTEM.
 */
int32_t event_kafka_create_from_socket(const char *socket,
                                       struct event_kafka_producer_t *producer,
                                       struct event_kafka_topic_t *topic,
                                       char *text,
                                       size_t text_size);

/**
 * Gives a topic, with the topic properties that the producer was given. Its partitions are looked
 * up at once; messages may be published before they are known. The same name gives the same
 * handle.
 *
 * Any thread, at any time.
 *
 * Errors: EVENT_KAFKA_ERR_INVALID_ARG (a name that no broker accepts),
 * EVENT_KAFKA_ERR_BAD_HANDLE.
 */
int32_t event_kafka_topic(struct event_kafka_producer_t producer,
                          const char *name,
                          struct event_kafka_topic_t *topic,
                          char *text,
                          size_t text_size);

/**
 * Writes the name of a topic. 250 bytes are enough for every name with its NUL; one that does not
 * fit is cut.
 *
 * Any thread, at any time.
 *
 * Errors: EVENT_KAFKA_ERR_INVALID_ARG (no buffer), EVENT_KAFKA_ERR_BAD_HANDLE.
 */
int32_t event_kafka_topic_name(struct event_kafka_topic_t topic, char *name, size_t name_size);

/**
 * Sends without lingering, and waits until every message that was accepted before has its outcome,
 * for up to timeout_ms milliseconds. Reports stay to be taken.
 *
 * Any thread, at any time. Other calls go on meanwhile.
 *
 * remaining: how many messages have none yet; may be NULL.
 *
 * Errors: EVENT_KAFKA_ERR_TIMED_OUT (what is left is not affected), EVENT_KAFKA_ERR_BAD_HANDLE.
 */
int32_t event_kafka_flush(struct event_kafka_producer_t producer,
                          uint32_t timeout_ms,
                          uint64_t *remaining);

/**
 * Fails messages without waiting for their delivery: those that what names, EVENT_KAFKA_PURGE_QUEUED,
 * EVENT_KAFKA_PURGE_IN_FLIGHT or both. Each gets its report.
 *
 * Any thread, at any time.
 *
 * Errors: EVENT_KAFKA_ERR_INVALID_ARG (other bits, or none), EVENT_KAFKA_ERR_BAD_HANDLE.
 */
int32_t event_kafka_purge(struct event_kafka_producer_t producer,
                          uint32_t what);

/**
 * Flushes for up to timeout_ms milliseconds, then ends the producer, its threads and its
 * connections. Messages that were not delivered in time fail, each with its report. Nothing is
 * accepted any more; reports, counters and the fatal error can still be taken until
 * event_kafka_free(). Closing again does nothing.
 *
 * Any thread, at any time. Threads that wait for room return EVENT_KAFKA_ERR_CLOSED.
 *
 * Errors: EVENT_KAFKA_ERR_TIMED_OUT (closed all the same; the text names what was not delivered, by
 * topic and reason), EVENT_KAFKA_ERR_BAD_HANDLE.
 */
int32_t event_kafka_close(struct event_kafka_producer_t producer,
                          uint32_t timeout_ms,
                          char *text,
                          size_t text_size);

/**
 * Frees a producer, its topics and its descriptors; their handles name nothing any more, and no
 * later ones will be equal to them. A producer that was not closed is closed first without waiting:
 * what was not delivered is lost, and a line of the log says so.
 *
 * Any thread, at any time. Calls that are under way end as if it had been closed.
 *
 * Errors: EVENT_KAFKA_ERR_BAD_HANDLE.
 */
int32_t event_kafka_free(struct event_kafka_producer_t producer);

/**
 * Why a producer is of no use any more, if it is not: error becomes the code of what happened, or 0,
 * and the text says more. Only idempotent producers can fail like this; close it and create
 * another one.
 *
 * Any thread, at any time.
 *
 * Errors: EVENT_KAFKA_ERR_INVALID_ARG, EVENT_KAFKA_ERR_BAD_HANDLE.
 */
int32_t event_kafka_fatal_error(struct event_kafka_producer_t producer,
                                int32_t *error,
                                char *text,
                                size_t text_size);

/**
 * Accepts a message for delivery, or refuses it. The message is copied: its memory is the caller's
 * again when this returns. Every accepted message gets exactly one report, and a refused one none.
 *
 * A full queue is an error at once with timeout_ms 0, after so many milliseconds otherwise. For a
 * third way, an event loop's, see event_kafka_room_fd().
 *
 * Any thread, at any time, and many at a time. With timeout_ms 0 it never waits.
 *
 * Errors: EVENT_KAFKA_ERR_QUEUE_FULL, EVENT_KAFKA_ERR_MSG_SIZE_TOO_LARGE,
 * EVENT_KAFKA_ERR_UNKNOWN_PARTITION, EVENT_KAFKA_ERR_INVALID_ARG, EVENT_KAFKA_ERR_CLOSED,
 * EVENT_KAFKA_ERR_FATAL, EVENT_KAFKA_ERR_BAD_HANDLE.
 */
int32_t event_kafka_publish(struct event_kafka_topic_t topic,
                            const struct event_kafka_message_t *message,
                            uint32_t timeout_ms,
                            char *text,
                            size_t text_size);

/**
 * Gives a descriptor for poll() and its like that tells when to publish again: from this call on
 * it is not readable while the last word of event_kafka_publish() was EVENT_KAFKA_ERR_QUEUE_FULL
 * and no room has come since. It may be readable though another thread has taken the room: publish
 * and see. Neither read from it nor close it; it is gone with event_kafka_free().
 *
 * Any thread, at any time.
 *
 * Errors: EVENT_KAFKA_ERR_SYSTEM, EVENT_KAFKA_ERR_INVALID_ARG, EVENT_KAFKA_ERR_BAD_HANDLE.
 */
int32_t event_kafka_room_fd(struct event_kafka_producer_t producer, int *fd);

/**
 * Takes up to capacity reports that are there, the oldest first, and never waits. Messages count
 * against the limits of the queue until their reports are taken. Which outcomes are reported,
 * "delivery.report.only.error" says.
 *
 * Any thread, at any time; each report comes out once. One thread sees those of a partition in
 * order if the producer is idempotent or has one request in flight.
 *
 * count: how many were taken.
 *
 * Errors: EVENT_KAFKA_ERR_INVALID_ARG, EVENT_KAFKA_ERR_BAD_HANDLE.
 */
int32_t event_kafka_poll_reports(struct event_kafka_producer_t producer,
                                 struct event_kafka_report_t *reports,
                                 size_t capacity,
                                 size_t *count);

/**
 * Gives a descriptor for poll() and its like that is readable while reports wait. Now and then it
 * may be readable though another thread has just taken them. Neither read from it nor close it; it
 * is gone with event_kafka_free().
 *
 * Any thread, at any time.
 *
 * Errors: EVENT_KAFKA_ERR_INVALID_ARG, EVENT_KAFKA_ERR_BAD_HANDLE.
 */
int32_t event_kafka_report_fd(struct event_kafka_producer_t producer, int *fd);

/**
 * Counts what became of messages.
 *
 * Any thread, at any time.
 *
 * Errors: EVENT_KAFKA_ERR_INVALID_ARG, EVENT_KAFKA_ERR_BAD_HANDLE.
 */
int32_t event_kafka_counters(struct event_kafka_producer_t producer,
                             struct event_kafka_counters_t *counters);

/**
 * Takes up to capacity lines of the log, the oldest first, and never waits. The log is that of all
 * producers of the process; "log_level" and "debug" of each decide what it logs. 1024 lines are kept;
 * what comes when there are so many is dropped.
 *
 * Any thread, at any time.
 *
 * count: how many were taken. dropped: how many were dropped since the call before.
 *
 * Errors: EVENT_KAFKA_ERR_SYSTEM, EVENT_KAFKA_ERR_INVALID_ARG.
 */
int32_t event_kafka_poll_log(struct event_kafka_log_line_t *lines,
                             size_t capacity,
                             size_t *count,
                             uint64_t *dropped);

/**
 * Gives a descriptor for poll() and its like that is readable while lines of the log wait. Neither
 * read from it nor close it; it stays as long as the process.
 *
 * Any thread, at any time.
 *
 * Errors: EVENT_KAFKA_ERR_SYSTEM, EVENT_KAFKA_ERR_INVALID_ARG.
 */
int32_t event_kafka_log_fd(int *fd);

/**
 * Makes an area, before the host forks: this process, and all that it forks from then on, publish
 * into it and take reports from it, and one of them is its worker (event_kafka_worker_attach()).
 *
 * Any thread, at any time; in one that was forked before, it is another area.
 *
 * sizes: NULL takes the defaults.
 *
 * Errors: EVENT_KAFKA_ERR_INVALID_ARG (a size; the text says which), EVENT_KAFKA_ERR_SYSTEM.
 */
int32_t event_kafka_area_create(const struct event_kafka_area_sizes_t *sizes,
                                struct event_kafka_area_t *area,
                                char *text,
                                size_t text_size);

/**
 * Lets go of an area in this process; the others keep it. Its handle names nothing any more here.
 *
 * Any process of the area, any thread, at any time, but not in a child while another thread of its
 * parent made or freed an area.
 *
 * Errors: EVENT_KAFKA_ERR_BAD_HANDLE.
 */
int32_t event_kafka_area_free(struct event_kafka_area_t area);

/**
 * Adds a socket, as OpenSIPS writes them: "[kafka:]brokers/topic[?g.property=value&...]". The worker
 * starts a producer for it, or has it share one: that of sockets with equal brokers and equal
 * properties of the producer. Sockets that mean the same share their budget, too. Messages can be
 * published at once; they wait until there is a worker.
 *
 * The socket is checked here, files and environment variables that it names included; but the worker
 * reads them for itself, and if it cannot, a line of its log says so and each message fails.
 *
 * Any process of the area, any thread, at any time. What is subscribed stays until it is
 * unsubscribed, though the process ends.
 *
 * Errors: EVENT_KAFKA_ERR_INVALID_ARG (the text says where in the socket and why),
 * EVENT_KAFKA_ERR_SYSTEM (too many sockets), EVENT_KAFKA_ERR_BAD_HANDLE.
 */
int32_t event_kafka_area_subscribe(struct event_kafka_area_t area,
                                   const char *socket,
                                   struct event_kafka_socket_t *subscribed,
                                   char *text,
                                   size_t text_size);

/**
 * Adds a socket with an ID, as the parameter broker_id of OpenSIPS has it: "[ID]socket". It has a
 * budget of its own. All else is as with event_kafka_area_subscribe().
 *
 * Any process of the area, any thread, at any time.
 *
 * Errors: as event_kafka_area_subscribe(); EVENT_KAFKA_ERR_INVALID_ARG also if the ID is taken.
 */
int32_t event_kafka_area_define(struct event_kafka_area_t area,
                                const char *broker_id,
                                struct event_kafka_socket_t *defined,
                                char *text,
                                size_t text_size);

/**
 * Finds the socket of an ID.
 *
 * Any process of the area, any thread, at any time.
 *
 * Errors: EVENT_KAFKA_ERR_INVALID_ARG (there is none), EVENT_KAFKA_ERR_BAD_HANDLE.
 */
int32_t event_kafka_area_find(struct event_kafka_area_t area,
                              const char *id,
                              struct event_kafka_socket_t *found);

/**
 * Has a socket take no more messages, whoever publishes. What it has taken is delivered and reported
 * as ever; a message that still lay in a lane may be, or fails with EVENT_KAFKA_ERR_CLOSED.
 *
 * Any process of the area, any thread, at any time.
 *
 * Errors: EVENT_KAFKA_ERR_CLOSED (it was unsubscribed before), EVENT_KAFKA_ERR_BAD_HANDLE.
 */
int32_t event_kafka_area_unsubscribe(struct event_kafka_area_t area,
                                     struct event_kafka_socket_t socket);

/**
 * Says how a socket is, and what became of its messages.
 *
 * Any process of the area, any thread, at any time.
 *
 * Errors: EVENT_KAFKA_ERR_CLOSED (it was unsubscribed, and nothing is left of it),
 * EVENT_KAFKA_ERR_INVALID_ARG, EVENT_KAFKA_ERR_BAD_HANDLE.
 */
int32_t event_kafka_area_status(struct event_kafka_area_t area,
                                struct event_kafka_socket_t socket,
                                struct event_kafka_socket_status_t *status);

/**
 * Names the sockets of an area, in the order of their places.
 *
 * Any process of the area, any thread, at any time.
 *
 * sockets: room for capacity of them; more are left out.
 *
 * count: how many were named.
 *
 * Errors: EVENT_KAFKA_ERR_INVALID_ARG, EVENT_KAFKA_ERR_BAD_HANDLE.
 */
int32_t event_kafka_area_sockets(struct event_kafka_area_t area,
                                 struct event_kafka_socket_t *sockets,
                                 size_t capacity,
                                 size_t *count);

/**
 * Writes what a socket is called: its ID, empty if it was not defined with one, and its address,
 * "brokers/topic", without the properties, which may have secrets. Each ends with NUL and is cut to
 * its buffer.
 *
 * Any process of the area, any thread, at any time.
 *
 * Errors: EVENT_KAFKA_ERR_CLOSED (there is no such socket), EVENT_KAFKA_ERR_BAD_HANDLE.
 */
int32_t event_kafka_area_socket_name(struct event_kafka_area_t area,
                                     struct event_kafka_socket_t socket,
                                     char *id,
                                     size_t id_size,
                                     char *address,
                                     size_t address_size);

/**
 * Has the worker send what was published to a socket so far without lingering, and waits for nothing.
 * Until all of that has its outcome, sockets that share its producer do not linger either.
 *
 * Any process of the area, any thread, at any time.
 *
 * number: for event_kafka_area_is_flushed().
 *
 * Errors: EVENT_KAFKA_ERR_CLOSED (there is no such socket), EVENT_KAFKA_ERR_INVALID_ARG,
 * EVENT_KAFKA_ERR_BAD_HANDLE.
 */
int32_t event_kafka_area_flush(struct event_kafka_area_t area,
                               struct event_kafka_socket_t socket,
                               uint64_t *number);

/**
 * Says whether all that was published to a socket before a flush has its outcome, be it a failure.
 *
 * Any process of the area, any thread, at any time.
 *
 * is_flushed: 1 or 0; 1 also if the socket is gone.
 *
 * Errors: EVENT_KAFKA_ERR_INVALID_ARG, EVENT_KAFKA_ERR_BAD_HANDLE.
 */
int32_t event_kafka_area_is_flushed(struct event_kafka_area_t area,
                                    struct event_kafka_socket_t socket,
                                    uint64_t number,
                                    int32_t *is_flushed);

/**
 * Says how an area is, without a lock and a system call but one.
 *
 * Any process of the area, any thread, at any time.
 *
 * Errors: EVENT_KAFKA_ERR_INVALID_ARG, EVENT_KAFKA_ERR_BAD_HANDLE.
 */
int32_t event_kafka_area_overview(struct event_kafka_area_t area,
                                  struct event_kafka_area_overview_t *overview);

/**
 * Takes the change of a socket: in what it is another one than when this was asked before. What came
 * and went in between is nobody's news. Each change comes out once, whichever process asks.
 *
 * Any process of the area, any thread, at any time.
 *
 * change: the socket at slot or at the first place behind that has changed; with no contact and no
 * state if none has.
 *
 * Errors: EVENT_KAFKA_ERR_INVALID_ARG, EVENT_KAFKA_ERR_BAD_HANDLE.
 */
int32_t event_kafka_area_take_change(struct event_kafka_area_t area,
                                     uint32_t slot,
                                     struct event_kafka_socket_change_t *change);

/**
 * Says whether the change of one socket may be told by way of another one, so that no news has news
 * as its consequence: not by way of a socket that shares its producer, nor if any other that does
 * was asked about as the way of news before. Whoever tells changes by sockets asks this each time.
 *
 * Any process of the area, any thread, at any time.
 *
 * may_tell: 1 or 0.
 *
 * Errors: EVENT_KAFKA_ERR_INVALID_ARG, EVENT_KAFKA_ERR_BAD_HANDLE.
 */
int32_t event_kafka_area_may_tell(struct event_kafka_area_t area,
                                  struct event_kafka_socket_t changed,
                                  struct event_kafka_socket_t by,
                                  int32_t *may_tell);

/**
 * Leaves a message in the lane of this process, for the worker to deliver, or refuses it: at once if
 * timeout_ms is 0, after so many milliseconds without room otherwise. The message is copied. Every
 * message that is taken gets exactly one report, in this process, unless its route is
 * EVENT_KAFKA_ROUTE_NONE; a refused one gets none.
 *
 * A process that does not take its reports is refused more and more messages in the end, and harms
 * nobody else by it.
 *
 * Any process of the area, any thread, at any time. Without waiting it makes no system call, but the
 * first time, or if the worker sleeps; threads of one process wait for each other, for some
 * nanoseconds.
 *
 * route: handed back with the report.
 *
 * Errors: EVENT_KAFKA_ERR_QUEUE_FULL (the lane, or the budget of the socket),
 * EVENT_KAFKA_ERR_CLOSED (the socket was unsubscribed), EVENT_KAFKA_ERR_MSG_SIZE_TOO_LARGE (more than
 * half a lane), EVENT_KAFKA_ERR_SYSTEM (all lanes are taken), EVENT_KAFKA_ERR_INVALID_ARG,
 * EVENT_KAFKA_ERR_BAD_HANDLE.
 */
int32_t event_kafka_area_publish(struct event_kafka_area_t area,
                                 struct event_kafka_socket_t socket,
                                 uint32_t route,
                                 const struct event_kafka_message_t *message,
                                 uint32_t timeout_ms,
                                 char *text,
                                 size_t text_size);

/**
 * As event_kafka_area_publish(), but the message goes to another topic of the socket's cluster, with
 * the properties that the socket has for topics. A socket has up to 256 such topics, for as long as it
 * is subscribed; a message to yet another one is taken, and fails. So a name should not be what
 * somebody sends.
 *
 * Any process of the area, any thread, at any time.
 *
 * topic, topic_size: its name, without a NUL at the end.
 *
 * Errors: as event_kafka_area_publish(); EVENT_KAFKA_ERR_INVALID_ARG also for a name that no broker
 * accepts.
 */
int32_t event_kafka_area_publish_to(struct event_kafka_area_t area,
                                    struct event_kafka_socket_t socket,
                                    const char *topic,
                                    size_t topic_size,
                                    uint32_t route,
                                    const struct event_kafka_message_t *message,
                                    uint32_t timeout_ms,
                                    char *text,
                                    size_t text_size);

/**
 * As event_kafka_area_publish() with timeout_ms 0, but the value is written in place: by write, which
 * is called once, in this thread, before this returns, with room for at least value_size bytes. It
 * must return, must not use the area, and must not fork. What the message says of its value is not
 * looked at.
 *
 * Any process of the area, any thread, at any time.
 *
 * Errors: as event_kafka_area_publish(); EVENT_KAFKA_ERR_INVALID_ARG also if write gave the message
 * up.
 */
int32_t event_kafka_area_publish_in_place(struct event_kafka_area_t area,
                                          struct event_kafka_socket_t socket,
                                          uint32_t route,
                                          const struct event_kafka_message_t *message,
                                          size_t value_size,
                                          event_kafka_write_t write,
                                          void *context,
                                          char *text,
                                          size_t text_size);

/**
 * Takes reports of messages that this process has published, the oldest first, and never waits. There
 * has to be room for EVENT_KAFKA_MOST_REPORTS: so many come at most.
 *
 * Any process of the area, any thread, at any time; each report comes out once. A process that is
 * killed in here has had its reports.
 *
 * count: how many were taken.
 *
 * Errors: EVENT_KAFKA_ERR_SYSTEM (all lanes are taken), EVENT_KAFKA_ERR_INVALID_ARG,
 * EVENT_KAFKA_ERR_BAD_HANDLE.
 */
int32_t event_kafka_area_poll_reports(struct event_kafka_area_t area,
                                      struct event_kafka_lane_report_t *reports,
                                      size_t capacity,
                                      size_t *count);

/**
 * As event_kafka_area_poll_reports(), but takes the reports of a batch that is for anybody:
 * event_kafka_worker_next_batch() gave its number. Each batch is taken once.
 *
 * Any process of the area, any thread, at any time.
 *
 * count: how many were taken; 0 if the batch was taken before.
 *
 * Errors: as event_kafka_area_poll_reports().
 */
int32_t event_kafka_area_take_batch(struct event_kafka_area_t area,
                                    uint64_t batch,
                                    struct event_kafka_lane_report_t *reports,
                                    size_t capacity,
                                    size_t *count);

/**
 * Gives a descriptor for poll() and its like that is readable while there are reports for this
 * process. Neither read from it nor close it. A forked child has its own.
 *
 * Any process of the area, any thread, at any time.
 *
 * Errors: EVENT_KAFKA_ERR_SYSTEM (all lanes are taken), EVENT_KAFKA_ERR_INVALID_ARG,
 * EVENT_KAFKA_ERR_BAD_HANDLE.
 */
int32_t event_kafka_area_report_fd(struct event_kafka_area_t area, int *fd);

/**
 * As event_kafka_area_publish(), but what is published is the JSON-RPC payload of an event, as
 * OpenSIPS makes it, with the key, the members and the treatment of what is no UTF-8 that the socket
 * says ("key=", "members=", "payload=").
 *
 * Any process of the area, any thread, at any time.
 *
 * Errors: as event_kafka_area_publish().
 */
int32_t event_kafka_area_raise(struct event_kafka_area_t area,
                               struct event_kafka_socket_t socket,
                               uint32_t route,
                               const struct event_kafka_event_t *event,
                               uint32_t timeout_ms,
                               char *text,
                               size_t text_size);

/**
 * Says whether two sockets of events mean the same: the same brokers in any order, the same topic, and
 * properties with the same effect, however they are written. "kafka:" may stand before them.
 *
 * Any process, any thread, at any time.
 *
 * is_match: becomes 1 or 0.
 *
 * Errors: EVENT_KAFKA_ERR_INVALID_ARG (one of them is malformed; the text says where and why).
 */
int32_t event_kafka_area_sockets_match(const char *one,
                                       const char *other,
                                       int32_t *is_match,
                                       char *text,
                                       size_t text_size);

/**
 * Makes this process the worker of an area: it has the producers of all sockets, delivers what the
 * lanes hold, and reports to whoever published. If the worker before was killed, this goes on where
 * the lanes are; what that one had taken and not delivered is lost.
 *
 * It has one thread of its own and one for each producer (more while names are looked up), in which
 * all signals are blocked. Close it and free it when it is no longer needed. A process that this one
 * forks from now on cannot be the worker, nor use producers; as any other of the area it can publish.
 *
 * Any thread, at any time.
 *
 * flags: EVENT_KAFKA_WORKER_... that are wanted, or 0.
 *
 * Errors: EVENT_KAFKA_ERR_STATE (the area has a worker, which lives), EVENT_KAFKA_ERR_SYSTEM,
 * EVENT_KAFKA_ERR_INVALID_ARG, EVENT_KAFKA_ERR_BAD_HANDLE.
 */
int32_t event_kafka_worker_attach(struct event_kafka_area_t area,
                                  uint32_t flags,
                                  struct event_kafka_worker_t *worker,
                                  char *text,
                                  size_t text_size);

/**
 * Gives the number of a batch of up to 16 reports for anybody, which the host now hands to a process
 * that takes them by event_kafka_area_take_batch(). Each number comes out once; until its reports are
 * taken, they keep a slot of the report area, and messages whose reports find none wait for it.
 *
 * The worker's process, any thread, at any time.
 *
 * batch: never 0; 0 if there is none now.
 *
 * Errors: EVENT_KAFKA_ERR_STATE (the worker was attached without
 * EVENT_KAFKA_WORKER_REPORTS_TO_ANYBODY), EVENT_KAFKA_ERR_INVALID_ARG, EVENT_KAFKA_ERR_BAD_HANDLE.
 */
int32_t event_kafka_worker_next_batch(struct event_kafka_worker_t worker,
                                      uint64_t *batch);

/**
 * Gives a descriptor for poll() and its like that is readable while there are batches for anybody.
 * Neither read from it nor close it; it is gone with event_kafka_worker_free().
 *
 * The worker's process, any thread, at any time.
 *
 * Errors: as event_kafka_worker_next_batch().
 */
int32_t event_kafka_worker_batch_fd(struct event_kafka_worker_t worker, int *fd);

/**
 * Takes what the lanes hold, sends without lingering, and waits until every message has its outcome
 * and the reports are on their way, for up to timeout_ms milliseconds.
 *
 * The worker's process, any thread, at any time. Everything goes on meanwhile.
 *
 * remaining: how many messages have no outcome yet; may be NULL.
 *
 * Errors: EVENT_KAFKA_ERR_TIMED_OUT (what is left is not affected), EVENT_KAFKA_ERR_BAD_HANDLE.
 */
int32_t event_kafka_worker_drain(struct event_kafka_worker_t worker,
                                 uint32_t timeout_ms,
                                 uint64_t *remaining);

/**
 * Unsubscribes all sockets, so that nothing more is published; then drains for up to timeout_ms
 * milliseconds, and ends all producers and threads. Messages that were not delivered in time fail,
 * each with its report, for which its reader has to have room by then; but reports for anybody are given
 * to nobody any more, as the host cannot hand them out meanwhile. Closing again does nothing.
 *
 * The worker's process, any thread, at any time.
 *
 * Errors: EVENT_KAFKA_ERR_TIMED_OUT (closed all the same; the text names what was not delivered, by
 * topic and reason), EVENT_KAFKA_ERR_BAD_HANDLE.
 */
int32_t event_kafka_worker_close(struct event_kafka_worker_t worker,
                                 uint32_t timeout_ms,
                                 char *text,
                                 size_t text_size);

/**
 * Frees a worker; its handle names nothing any more. One that was not closed is closed first without
 * waiting.
 *
 * The worker's process, any thread, at any time.
 *
 * Errors: EVENT_KAFKA_ERR_BAD_HANDLE.
 */
int32_t event_kafka_worker_free(struct event_kafka_worker_t worker);

/**
 * Counts what a worker has done.
 *
 * The worker's process, any thread, at any time.
 *
 * Errors: EVENT_KAFKA_ERR_INVALID_ARG, EVENT_KAFKA_ERR_BAD_HANDLE.
 */
int32_t event_kafka_worker_counters(struct event_kafka_worker_t worker,
                                    struct event_kafka_worker_counters_t *counters);

/**
 * Why a socket is of no use now, if it is not: error becomes the code of what happened to its producer,
 * or 0, and the text says more. Only idempotent producers can fail like this. The next message for the
 * socket gets it another one, if the one before lasted for a second.
 *
 * The worker's process, any thread, at any time.
 *
 * Errors: EVENT_KAFKA_ERR_CLOSED (no such socket), EVENT_KAFKA_ERR_INVALID_ARG,
 * EVENT_KAFKA_ERR_BAD_HANDLE.
 */
int32_t event_kafka_worker_fatal_error(struct event_kafka_worker_t worker,
                                       struct event_kafka_socket_t socket,
                                       int32_t *error,
                                       char *text,
                                       size_t text_size);

/**
 * Gives a descriptor for poll() and its like that is readable once a socket has changed, which
 * event_kafka_area_take_change() tells. Neither read from it nor close it; it is gone with
 * event_kafka_worker_free().
 *
 * The worker's process, any thread, at any time.
 *
 * Errors: EVENT_KAFKA_ERR_INVALID_ARG, EVENT_KAFKA_ERR_BAD_HANDLE.
 */
int32_t event_kafka_worker_change_fd(struct event_kafka_worker_t worker, int *fd);

/**
 * Says whether a socket has changed since this was asked before, and makes the descriptor of
 * event_kafka_worker_change_fd() unreadable until one does again.
 *
 * The worker's process, any thread, at any time.
 *
 * have_changed: 1 or 0.
 *
 * Errors: EVENT_KAFKA_ERR_INVALID_ARG, EVENT_KAFKA_ERR_BAD_HANDLE.
 */
int32_t event_kafka_worker_have_changed(struct event_kafka_worker_t worker, int32_t *have_changed);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* EVENT_KAFKA_H */
